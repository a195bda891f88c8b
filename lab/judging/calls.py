"""A history read as an application would tell it: calls, and the requests that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.records.history import DIED, HUNG, Cause, Ending, Op, Phase
from lab.records.lifecycle import TELLS, Lifecycle
from lab.records.plan import FailCause, Step, StepName, UseName
from lab.records.record import Record

FOREVER = 1 << 62
REFUSED: dict[FailCause, str] = {
    "unique": "23505",
    "statement_timeout": "57014",
    "serialization": "40001",
    "deadlock": "40P01",
    "lock": "55P03",
}
"""The SQLSTATE with which the server refuses a `fail` step, by the step's cause."""
ORDINARY: tuple[StepName, ...] = ("begin", "end", "finish", "enter", "leave", "read", "write", "look")
"""Steps that any healthy backend serves without an error, when blocks are entered before they are left."""
SERVED: tuple[UseName, ...] = ("repeat", "iterator", "counted")
"""Uses of which the same is true."""
NO_WORK: tuple[StepName, ...] = ("finish", "stop", "fork", "exit")
"""Steps that are no unit of work by themselves where they come outside of one."""


@dataclass(frozen=True)
class Call:
    """One step from its beginning to its end, in nanoseconds since the start of the run."""

    actor: str
    step: int
    f: StepName
    request: int
    phase: Phase
    begin: int
    end: int
    ending: Ending
    value: dict[str, Any]
    chain: tuple[Cause, ...]
    plan: Step | None
    lifecycle: Lifecycle = "request"

    @property
    def alias(self) -> str:
        """The alias that its step names, `default` where it names none."""
        return getattr(self.plan, "alias", "default")

    @property
    def process(self) -> str:
        """The name of the process, "" for the one that the lab forked."""
        return self.actor.rpartition(".")[0]

    @property
    def told(self) -> bool:
        """Whether Django was told that a unit of work begins or ends here."""
        if self.f == "finish":
            return True
        return self.f in ("begin", "end") and bool(TELLS[self.lifecycle][self.f == "end"])

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.begin) / 1e9

    @property
    def hung(self) -> bool:
        """Whether it was given up."""
        return bool(self.chain) and self.chain[0].cls == HUNG.cls

    @property
    def died(self) -> bool:
        """Whether its process ended under it."""
        return bool(self.chain) and self.chain[0].cls == DIED.cls

    @property
    def visible(self) -> tuple[Cause, ...]:
        """The exception that left the call and its explicit causes: what handlers, retries and log lines read."""
        return tuple(cause for cause in self.chain if not cause.hidden)

    @property
    def hidden(self) -> tuple[Cause, ...]:
        """What was only being handled when that exception was raised, the latest first."""
        return tuple(cause for cause in self.chain if cause.hidden)

    @property
    def failed(self) -> bool:
        """Whether it raised, or never returned."""
        return self.ending in ("fail", "info")

    @property
    def swallowed(self) -> bool:
        """Whether the application catches its error and goes on."""
        return bool(getattr(self.plan, "swallow", False))

    @property
    def ends_blocks(self) -> bool:
        """Whether no atomic block of the actor is open after it: its error left the view, or the request ended."""
        return self.f in ("end", "stop") or (self.failed and not self.swallowed)

    @property
    def session(self) -> str:
        """The session on which a statement ran, "" when none is known."""
        return str(self.value.get("session", ""))

    @property
    def meant(self) -> bool:
        """Whether the plan asked for this very error."""
        return self.f == "fail" and any(cause.sqlstate in REFUSED.values() for cause in self.chain)


@dataclass
class Request:
    """All calls of one unit of work: between request_started and request_finished, or as the actor's lifecycle says.

    `bare`: it has no beginning of its own, as in a command: one statement, or one atomic block.
    """

    actor: str
    ordinal: int
    calls: list[Call] = field(default_factory=list)
    bare: bool = False
    finished: int = FOREVER  # when the end of a streamed response was signalled
    followed: int = FOREVER  # when the actor's next request arrived
    tidy: bool = True  # it found nothing open: no atomic block, no work that was done outside of any request

    @property
    def process(self) -> str:
        """The process that it ran in: "" for the subject's own, "c0" for what it has forked under that name."""
        return self.actor.rpartition(".")[0]

    @property
    def begin(self) -> int:
        """When it arrived."""
        return self.calls[0].begin

    @property
    def end(self) -> int:
        """When request_finished had been served, or the thread had ended; FOREVER when that did not happen.

        A unit of which Django is not told ends where the application has done with it, but a stream's goes on until
        its end is signalled or the thread's next request begins.
        """
        last = self.calls[-1]
        if self.lifecycle == "stream" and last.f != "stop":
            return min(self.finished, self.followed)
        over = last.f in ("end", "stop") or self.bare
        return last.end if over and not last.hung else self.followed

    @property
    def lifecycle(self) -> Lifecycle:
        """That of its actor."""
        return self.calls[0].lifecycle

    @property
    def errors(self) -> list[Call]:
        """Calls that raised without having been asked to."""
        return [call for call in self.calls if call.failed and not call.meant]

    @property
    def sessions(self) -> dict[str, int]:
        """The sessions seen in it, each with the time of its first use."""
        found: dict[str, int] = {}
        for call in self.calls:
            if call.session:
                found.setdefault(call.session, call.end)
        return found

    @property
    def ordinary(self) -> bool:
        """Whether a healthy backend has no reason to raise in it: plain steps, blocks properly nested and left."""
        depth = 0
        for call in self.calls:
            if not (call.f in ORDINARY or getattr(call.plan, "how", "") in SERVED) or not self.tidy:
                return False
            depth += {"enter": 1, "leave": -1}.get(call.f, 0)
            if depth < 0:
                return False
        return not self.told_inside and (self.bare or self.calls[0].f == "begin") and (depth == 0 or bool(self.errors))

    @property
    def told_inside(self) -> bool:
        """Whether Django was told within a block that some unit of work has ended: what comes then is not plain."""
        depth = 0
        for call in self.calls:
            depth = 0 if call.ends_blocks else depth + {"enter": 1, "leave": -1}.get(call.f, 0)
            if call.f == "finish" and depth > 0:
                return True
        return False

    @property
    def never_left(self) -> bool:
        """Whether it ended inside an atomic block."""
        return any(call.f == "end" and call.value.get("never_left") for call in self.calls)

    def running_between(self, since: int, until: int) -> bool:
        """Whether it was in flight at some time between the two."""
        return self.begin < until and since < self.end


def read_calls(record: Record) -> list[Call]:
    """All calls, in the order in which they began."""
    steps = record.plan.steps
    lifecycles = {actor: record.plan.lifecycle(actor) for actor in {op.actor for op in record.ops}}
    open_: dict[tuple[str, int], Op] = {}
    found: list[Call] = []
    for op in record.ops:
        key = (op.actor, op.step)
        if op.type == "invoke":
            open_[key] = op
            continue
        begun = open_.pop(key, op)
        plan = steps[op.step] if op.step < len(steps) else None
        found.append(
            Call(
                actor=op.actor,
                step=op.step,
                f=op.f,
                request=begun.request,
                phase=op.phase,
                begin=begun.time,
                end=op.time,
                ending=op.type,
                value=op.value,
                chain=op.chain,
                plan=plan,
                lifecycle=lifecycles[op.actor],
            )
        )
    return sorted(found, key=lambda call: call.begin)


def read_requests(calls: list[Call]) -> list[Request]:
    """All units of work of these calls, in the order in which they began."""
    readers: dict[str, _Reader] = {}
    found: list[Request] = []
    for call in calls:
        if call.ending != "skip":
            reader = readers.setdefault(call.actor, _Reader(call.actor))
            found += reader.take(call)
    return found


class _Reader:
    """Reads one actor's calls as units of work."""

    def __init__(self, actor: str) -> None:
        self._actor = actor
        self._depth = 0
        self._outside = False  # work was done outside of any unit
        self._stuck = False  # a block was never left, and Django was told of no end
        self._last: Request | None = None
        self._streams: list[Request] = []  # whose end was not signalled
        self._bare = 0

    def take(self, call: Call) -> list[Request]:
        """The unit that begins with the call, if one does."""
        open_blocks = self._depth
        self._depth = 0 if call.ends_blocks else open_blocks + {"enter": 1, "leave": -1}.get(call.f, 0)
        self._stuck = (self._stuck or bool(call.value.get("never_left"))) and not call.told
        if call.f == "finish" and self._streams:
            self._streams.pop(0).finished = call.end
        if call.request >= 0:
            if self._last is not None and self._last.ordinal == call.request:
                self._last.calls.append(call)
                return []
            return self._begun(Request(self._actor, call.request, tidy=self._tidy(open_blocks)), call)
        if call.f == "finish":
            return []
        if call.lifecycle not in ("command", "thread"):
            self._outside = True
            return []
        if call.f in NO_WORK:
            return []
        if open_blocks > 0 and self._last is not None and self._last.bare:
            self._last.calls.append(call)
            return []
        self._bare += 1
        return self._begun(Request(self._actor, -self._bare, bare=True, tidy=not self._stuck), call)

    def _tidy(self, open_blocks: int) -> bool:
        return not (open_blocks or self._outside or self._stuck)

    def _begun(self, request: Request, call: Call) -> list[Request]:
        if self._last is not None:
            self._last.followed = call.begin
        self._outside = False
        if call.lifecycle == "stream":
            self._streams.append(request)
        self._last = request
        request.calls.append(call)
        return [request]
