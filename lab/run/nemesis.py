"""The nemesis of one run: applies the plan's faults, sees that each lands, and heals them, on every path."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from lab.fault import Fault, Missed, Seen, Sighting, build
from lab.records.landing import Landing
from lab.records.plan import Await, Elapse, Heal, Inject, NemesisStep, Plan
from lab.rig.site.site import FaultSite, PlanSite
from lab.run.diary import Diary
from lab.timing import AWAIT, CUT, LAND

LOOK, LONGEST_LOOK = 0.001, 0.008
"""Seconds between two looks at the server and the kernel, which make no event that the lab could wait for.

Each pause is half as long again as the one before, up to the longest: what takes long is not looked for so often.
"""

TakeCensus = Callable[[str, int], None]


@dataclass
class _Struck:
    """A fault that was applied: the way to heal it, the look-out for it, and what was seen."""

    fault: Fault
    index: int
    time: int
    stack: ExitStack
    seen: Seen
    connects: int = -1
    missed: str = ""
    landing: Landing | None = None


class Nemesis:
    """Faults in the order in which the plan injects them. Raises PlanInvalid, UnknownName when a fault is none."""

    def __init__(self, plan: Plan, diary: Diary) -> None:
        self.faults: Sequence[Fault] = [build(spec) for spec in plan.faults()]
        self.landings: list[Landing] = []
        self._injects = [step for step in plan.steps if isinstance(step, Inject)]
        self._diary = diary
        self._coming = iter(self.faults)
        self._struck: list[_Struck] = []
        self._site: PlanSite
        self._take_census: TakeCensus

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def keeps_sessions(self) -> bool:
        """Whether a fault is at work that may keep a session whose client has left it."""
        return any(struck.fault.keeps_sessions for struck in self._struck)

    @property
    def lasting(self) -> bool:
        """Whether one is at work that goes on until it is healed."""
        return any(struck.fault.lasting for struck in self._struck)

    def unmet(self) -> bool:
        """Whether one is at work that is met by connecting, and no attempt to connect has met it and ended."""
        counts = [struck.connects for struck in self._struck if struck.fault.connecting and struck.connects >= 0]
        return bool(counts) and (self._site.connects() <= min(counts) or self._site.attempts() > 0)

    def dead(self) -> set[str]:
        """The sessions that faults, or their healing, have ended so far."""
        return {session for landing in self.landings for session in landing.struck + landing.cut}

    @property
    def ends_it(self) -> bool:
        """Whether a fault that ends the subject's first process has been applied."""
        return any(each.ends_with is not None and not getattr(each, "process", "") for each in self._applied)

    @property
    def has_killed_it(self) -> bool:
        """Whether the first process has ended by a fault that gave it no time to say anything."""
        return any(each.fatal for each in self._applied) and self.ends_it and self._site.subject.ended()

    @property
    def _applied(self) -> Sequence[Fault]:
        return self.faults[: len(self.landings) + len(self._struck)]

    def ends_with(self, status: int) -> bool:
        """Whether a fault was to end the subject's process, and it has ended so.

        After a fatal one any status that is no signal's counts, too: a handler of the process's own may have ended it.
        """
        by_itself = status >= 0 and any(fault.fatal and not getattr(fault, "process", "") for fault in self._applied)
        return by_itself or status in {fault.ends_with for fault in self.faults if not getattr(fault, "process", "")}

    def unseen(self) -> list[str]:
        """The kinds that were not seen to land."""
        return [landing.kind for landing in self.landings if not landing.landed]

    # -- what it does -------------------------------------------------------------------------------------------------

    def prepare(self, site: PlanSite, take_census: TakeCensus) -> None:
        """Before the first connection, because some faults must arm the line.

        `take_census` is called with an occasion and a step whenever a fault was applied or is about to be healed.
        """
        self._site = site
        self._take_census = take_census
        for fault, step in zip(self.faults, self._injects, strict=True):
            fault.prepare(self._meant(step))

    def act(self, index: int, step: NemesisStep, *, census: bool) -> None:
        """Do what a step of the plan says; with `census` the server's view is taken after a fault was applied."""
        if isinstance(step, Inject):
            self._inject(index, step, census)
        elif isinstance(step, Await):
            for struck in self._struck:
                self._sight(struck, AWAIT.seconds)
            self._diary.event("await", index)
        elif isinstance(step, Heal):
            self.heal(index)
        elif isinstance(step, Elapse):
            self._site.subject.put_forward(step.seconds)
            self._diary.event("elapse", index)

    def heal(self, index: int = -1) -> None:
        """End every fault, the last one first; one that was never seen has not landed."""
        if self._struck:
            self._take_census("heal", index)
        while self._struck:
            struck = self._struck[-1]  # taken off when healed: a look-out may find that a server is lost
            self._sight(struck, LAND.seconds if struck.fault.lazy else 0.0)
            self._close(struck)
            self._struck.pop()
            self._diary.event("heal", index, fault=struck.fault.kind)

    @contextmanager
    def healed_on_exit(self) -> Iterator[None]:
        """Nothing stays applied, whatever happens inside; one that cannot be healed keeps no other from it."""
        try:
            yield
        finally:
            with ExitStack() as rest:
                for struck in self._struck:
                    rest.callback(struck.stack.close)

    # -- one fault ----------------------------------------------------------------------------------------------------

    def _meant(self, step: Inject) -> FaultSite:
        """The part of the site that a fault is meant for: an alias's line and sessions, else everything."""
        return self._site.of(step.alias if step.alias in self._site.databases else "")

    def _inject(self, index: int, step: Inject, census: bool) -> None:
        fault = next(self._coming)
        stack = ExitStack()
        now = self._diary.now()
        seen = stack.enter_context(fault.strike(self._meant(step)))
        struck = _Struck(fault, index, now, stack, seen)
        if fault.connecting:
            struck.connects = self._site.connects()
        self._struck.append(struck)
        self._diary.event("inject", index, fault=fault.kind)
        if not fault.lazy:
            self._sight(struck, LAND.seconds)
            if not fault.lasting:
                self._close(self._struck.pop())
        if census:
            self._take_census(f"inject {fault.kind}", index)

    def _sight(self, struck: _Struck, deadline: float) -> None:
        """Look until the fault is seen or `deadline` seconds have passed."""
        until, pause = time.monotonic() + deadline, LOOK
        while struck.landing is None:
            sighting = self._look(struck)
            struck.missed = sighting.evidence if isinstance(sighting, Missed) else ""
            if isinstance(sighting, Sighting):
                struck.landing = self._landing(struck, True, sighting.evidence, sighting.struck, sighting.at_ns)
            elif time.monotonic() > until or (sighting is not None and sighting.final):
                return
            else:
                time.sleep(pause)
                pause = min(pause * 1.5, LONGEST_LOOK)

    @staticmethod
    def _look(struck: _Struck) -> Sighting | Missed | None:
        try:
            return struck.seen()
        except (FileNotFoundError, ProcessLookupError):
            return None  # the subject's process has ended, and with it what could be seen there

    def _landing(
        self, struck: _Struck, landed: bool, evidence: str, sessions: tuple[str, ...] = (), at_ns: int = -1
    ) -> Landing:
        return Landing(
            kind=struck.fault.kind,
            step=struck.index,
            time=struck.time,
            landed=landed,
            evidence=evidence,
            seen=self._seen(at_ns) if struck.fault.lazy and landed else -1,
            struck=tuple(self._diary.known(session) for session in sessions),
        )

    def _seen(self, at_ns: int) -> int:
        return self._diary.now() if at_ns < 0 else at_ns - self._diary.start_ns

    def _close(self, struck: _Struck) -> None:
        """End one fault and write down whether it had landed."""
        cut = self._end_fault(struck)
        landing = struck.landing or self._landing(struck, False, struck.missed or "nothing was seen of it")
        if not landing.landed and struck.missed:
            landing = msgspec.structs.replace(landing, nothing=True)
        self.landings.append(msgspec.structs.replace(landing, healed=self._diary.now(), cut=cut))

    def _end_fault(self, struck: _Struck) -> tuple[str, ...]:
        """Heal one fault; the sessions that its healing ended."""
        if not struck.fault.heal_cuts:
            struck.stack.close()
            return ()
        before = {session.id for session in self._site.sessions()}
        struck.stack.close()
        until = time.monotonic() + CUT.seconds
        while (left := before & {session.id for session in self._site.sessions()}) and time.monotonic() < until:
            time.sleep(LOOK)  # a session that waits for a lock does not notice that its client is gone
        return tuple(sorted(before - left))
