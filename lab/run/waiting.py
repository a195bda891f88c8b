"""Where a step that does not return waits: in the server, for a lock, or in the client, doing nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lab.rig.site.site import PlanSite
from lab.run.actors import Actors, Pending
from lab.run.gates import Gates
from lab.run.nemesis import Nemesis
from lab.timing import AT_WORK, CROWD, GRACE, LOOKS, MEET, Stopwatch


@dataclass
class _Look:
    """The last look at a step: processor ticks that the subject had used, and for how long the step was looked at."""

    pending: Pending
    ticks: int
    stopwatch: Stopwatch


class Waiting:
    """Looks at the server's locks and at the processor time of the subject."""

    def __init__(self, site: PlanSite, actors: Actors, gates: Gates, nemesis: Nemesis) -> None:
        self._site = site
        self._actors = actors
        self._gates = gates
        self._nemesis = nemesis
        self._look: _Look | None = None
        self._left: set[str] = set()
        self._meeting: tuple[Pending, Stopwatch] | None = None

    def possible(self, actor: str) -> bool:
        """Whether there is anything that the actor's step could wait for: a gate, a fault that lasts, other actors."""
        return bool(self._gates) or self._nemesis.lasting or self._actors.has_company(actor)

    def leave(self, session: str) -> None:
        """The process whose step waits on that session has ended; the session may go on waiting."""
        self._left.add(session)

    def seen(self, pending: Pending) -> bool:
        """Look once; whether the step is seen to wait, which it then says."""
        sessions = self._site.sessions()
        others = (each for each in self._actors.pending.values() if each is not pending)
        taken = self._left | {each.session for each in others if each.where == "server"}
        for session in sessions:
            if session.wait.startswith("Lock:") and session.id not in taken:
                pending.where, pending.session = "server", session.id
                return True
        if self._has_yet_to_meet(pending):
            return False
        idle, waited = self._idle(pending)
        at_work = any(session.state == "active" and session.id not in taken for session in sessions)
        grace = self._grace(pending.step.actor) * (AT_WORK if at_work else 1)
        if idle and waited > grace:
            pending.where, pending.struck = "client", self._nemesis.lasting
            return True
        return False

    def over(self, pending: Pending) -> bool:
        """Whether a step that waited in the server does so no longer."""
        return pending.where == "server" and not any(
            each.id == pending.session and each.wait.startswith("Lock:") for each in self._site.sessions()
        )

    def healed(self, pending: Pending) -> bool:
        """Whether what a step was seen to wait for in the client is over: looks at it then begin anew."""
        if not pending.struck or self._nemesis.lasting:
            return False
        self._look, pending.struck = None, False
        return True

    def _has_yet_to_meet(self, pending: Pending) -> bool:
        """Whether the step may still be on its way to a fault that is met by connecting, which would else be healed.

        Load must not decide what was at stake: so not a time is waited for, but an attempt that the line has counted.
        """
        if not self._nemesis.unmet():
            return False
        if self._meeting is None or self._meeting[0] is not pending:
            self._meeting = pending, Stopwatch(LOOKS[-1])
        return self._meeting[1].look() < MEET.seconds

    def _idle(self, pending: Pending) -> tuple[bool, float]:
        """Whether the subject has used no processor time since the last look at this step; seconds since the first."""
        ticks = self._site.processor_ticks()
        if self._look is None or self._look.pending is not pending:
            self._look = _Look(pending, ticks, Stopwatch(LOOKS[-1]))
            return False, 0.0
        idle = self._look.ticks == ticks and not self._site.runnable()
        self._look.ticks = ticks
        return idle, self._look.stopwatch.look()

    def _grace(self, actor: str) -> float:
        """Seconds that a step may do nothing before it counts as waiting in the client."""
        if self._nemesis.lasting:
            return GRACE.seconds
        return CROWD.seconds if self._actors.has_company(actor) else math.inf
