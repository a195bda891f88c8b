"""Every stored finding again, on one rig: which are fixed, which are still there, which come and go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from lab.check.cases import lane
from lab.check.claims import claimed
from lab.check.lanes import run_in_lanes
from lab.check.subjects import subjects
from lab.errors import BadInput, LabError
from lab.judging.judge import judge
from lab.records.plan import Plan
from lab.records.verdict import Verdict
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

Fate = Literal["still", "flaky", "fixed", "unknown"]
MEANING: dict[Fate, str] = {
    "still": "every run breaks the same",
    "flaky": "some runs do",
    "fixed": "none does",
    "unknown": "no run counted",
}
"""In the order in which they are told."""


@dataclass(frozen=True)
class Stored:
    """A stored plan, whose `expect` says what its run broke, and where it is."""

    where: str
    plan: Plan

    @property
    def broken(self) -> frozenset[str]:
        """The promises that its run broke."""
        return frozenset(name for name, verdict in self.plan.expect.items() if verdict == Verdict.BROKEN)

    @property
    def claimed(self) -> bool:
        """Whether the variant claims any of them."""
        return any(claimed(self.plan.variant, promise, self.plan.moment) for promise in self.broken)


@dataclass
class Again:
    """What further runs of a stored plan came to: how many counted, and how many of those broke all or some of it."""

    stored: Stored
    runs: int = 0
    void: int = 0
    all_of_it: int = 0
    some_of_it: int = 0
    refused: str = ""

    @property
    def fate(self) -> Fate:
        """In one word."""
        if not self.runs:
            return "unknown"
        if not self.some_of_it:
            return "fixed"
        return "still" if self.all_of_it == self.runs else "flaky"


@dataclass
class AllAgain:
    """Every stored finding, in the order in which they were given."""

    each: list[Again] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status: 1 when a claimed promise is still broken, or now and then; else 2 when that is unknown."""
        fates = {again.fate for again in self.each if again.stored.claimed}
        return 1 if fates & {"still", "flaky"} else 2 if "unknown" in fates else 0


def distinct(found: Iterable[Stored]) -> list[Stored]:
    """Those that broke something, plans of equal variant and steps only once."""
    kept: dict[bytes, Stored] = {}
    for stored in found:
        if stored.broken:
            plan = stored.plan
            alike = (plan.variant, plan.steps, plan.init, sorted(plan.lifecycles.items()), sorted(stored.broken))
            kept.setdefault(msgspec.json.encode(alike), stored)
    return list(kept.values())


def replay_all(
    found: Sequence[Stored], rig: RigProtocol, times: int, tell: Callable[[int, int], None] = lambda done, of: None
) -> AllAgain:
    """Run each plan `times` times; call it from the main thread. A variant that cannot be started costs its own plans.

    `tell` hears how many runs of how many are over, from any thread.
    """
    again = [Again(stored) for stored in found]
    lock = threading.Lock()
    done = 0
    with subjects(rig) as started:
        keys: dict[bytes, Zygote | str] = {}
        for each in again:
            key = msgspec.json.encode(each.stored.plan.variant)
            if key not in keys:
                try:
                    (keys[key],) = started.start([each.stored.plan.variant])
                except LabError as refusal:
                    keys[key] = str(refusal)
        total = len(again) * times

        def work(each: Again) -> None:
            nonlocal done
            zygote = keys[msgspec.json.encode(each.stored.plan.variant)]
            if isinstance(zygote, str):
                each.refused = zygote
            else:
                _once(each, rig, zygote, lock)
            with lock:
                done += 1
                tell(done, total)

        def abort() -> None:
            for zygote in keys.values():
                if isinstance(zygote, Zygote):
                    zygote.close()

        jobs = [each for _ in range(times) for each in again]
        run_in_lanes(jobs, lambda each: lane(each.stored.plan), work, abort)
    return AllAgain(again)


def _once(each: Again, rig: RigProtocol, zygote: Zygote, lock: threading.Lock) -> None:
    try:
        record = run(each.stored.plan, rig, zygote)
    except BadInput as refusal:  # this rig cannot do it: said, not hidden
        each.refused = str(refusal)
        return
    broken = {finding.promise for finding in judge(record) if finding.verdict is Verdict.BROKEN}
    with lock:
        if record.void:
            each.void += 1
            return
        each.runs += 1
        each.all_of_it += each.stored.broken <= broken
        each.some_of_it += bool(each.stored.broken & broken)
