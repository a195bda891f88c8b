"""Where each actor of a run is: in which step and request, or gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from lab.records.history import Cause, Ending, Op, Phase
from lab.records.plan import ActorStep
from lab.run.diary import Diary


@dataclass
class Pending:
    """A step that was begun, at `since` by the monotonic clock, and has not returned.

    `where` it was last seen to wait; for `server`, as which `session`; `struck`: while a fault lasted. `gate` is the
    key of the lock that holds it.
    """

    index: int
    step: ActorStep
    since: float
    phase: Phase
    where: Literal["", "server", "client"] = ""
    session: str = ""
    struck: bool = False
    gate: int | None = None


class Actors:
    """Every actor's step and request; what begins and ends is written into the diary."""

    def __init__(self, diary: Diary) -> None:
        self.pending: dict[str, Pending] = {}
        self.gone: set[str] = set()
        """Those that hang, were stopped, or lost their process."""
        self.in_request: set[str] = set()
        self._requests: dict[str, int] = {}
        self._diary = diary

    def invoke(self, index: int, step: ActorStep, phase: Phase, gate: int | None) -> Pending:
        """The step is about to be handed over."""
        pending = Pending(index, step, time.monotonic(), phase, gate=gate)
        self._note(pending, "invoke")
        return pending

    def begin(self, pending: Pending) -> None:
        """The subject's process has the step."""
        self.pending[pending.step.actor] = pending

    def end(
        self, pending: Pending, ending: Ending, value: dict[str, Any] | None = None, chain: tuple[Cause, ...] = ()
    ) -> None:
        """The step has returned, or was given up."""
        del self.pending[pending.step.actor]
        self._note(pending, ending, value or {}, chain)

    def begin_request(self, actor: str) -> None:
        """The actor's next request arrives with the step that is about to begin."""
        self._requests[actor] = self._requests.get(actor, -1) + 1
        self.in_request.add(actor)

    def end_request(self, actor: str) -> None:
        """The actor is outside any request."""
        self.in_request.discard(actor)

    def lose(self, actor: str) -> None:
        """The actor takes no step any more."""
        self.gone.add(actor)

    def clone(self, actor: str, clone: str) -> None:
        """The actor of a forked child: inside a request when the one that forked was."""
        self._requests[clone] = -1
        if actor in self.in_request:
            self._requests[clone] = 0
            self.in_request.add(clone)

    def of_process(self, process: str) -> set[str]:
        """Those that live in a forked process."""
        return {actor for actor in {*self._requests, *self.pending} if actor.rpartition(".")[0] == process}

    def has_company(self, actor: str) -> bool:
        """Whether another actor is in a request or a step, whose lock this one may want."""
        return bool((self.in_request | self.pending.keys()) - {actor})

    def _note(
        self, pending: Pending, ending: Ending, value: dict[str, Any] | None = None, chain: tuple[Cause, ...] = ()
    ) -> None:
        actor = pending.step.actor
        self._diary.ops.append(
            Op(
                time=self._diary.now(),
                type=ending,
                actor=actor,
                step=pending.index,
                f=pending.step.do,
                request=self._requests.get(actor, -1) if actor in self.in_request else -1,
                phase=pending.phase,
                value=value or {},
                chain=chain,
            )
        )
