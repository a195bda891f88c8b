"""A history read as an application would tell it: calls, and the requests that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.records.history import HUNG, Cause, Ending, Op, Phase
from lab.records.plan import Step, StepName
from lab.records.record import Record

FOREVER = 1 << 62
ORDINARY: tuple[StepName, ...] = ("begin", "end", "enter", "leave", "read", "write", "look")
"""Steps that any healthy backend serves without an error, when blocks are entered before they are left."""


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

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.begin) / 1e9

    @property
    def hung(self) -> bool:
        """Whether it was given up."""
        return bool(self.chain) and self.chain[0].cls == HUNG.cls

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
        return self.f == "fail" and any(cause.sqlstate in ("23505", "57014") for cause in self.chain)


@dataclass
class Request:
    """All calls between one request_started and request_finished of an actor."""

    actor: str
    ordinal: int
    calls: list[Call] = field(default_factory=list)
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
        """When request_finished had been served, or the thread had ended; FOREVER when that did not happen."""
        last = self.calls[-1]
        return last.end if last.f in ("end", "stop") and not last.hung else self.followed

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
            if call.f not in ORDINARY or not self.tidy:
                return False
            depth += {"enter": 1, "leave": -1}.get(call.f, 0)
            if depth < 0:
                return False
        return self.calls[0].f == "begin" and (depth == 0 or bool(self.errors))

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
            )
        )
    return sorted(found, key=lambda call: call.begin)


def read_requests(calls: list[Call]) -> list[Request]:
    """All requests of these calls, in the order in which they arrived."""
    found: dict[tuple[str, int], Request] = {}
    depth: dict[str, int] = {}
    outside: set[str] = set()
    for call in calls:
        if call.ending == "skip":
            continue
        open_blocks = depth.get(call.actor, 0)
        depth[call.actor] = 0 if call.ends_blocks else open_blocks + {"enter": 1, "leave": -1}.get(call.f, 0)
        if call.request < 0:
            outside.add(call.actor)
            continue
        key = (call.actor, call.request)
        if key not in found:
            found[key] = Request(*key, tidy=not open_blocks and call.actor not in outside)
            outside.discard(call.actor)
            if before := found.get((call.actor, call.request - 1)):
                before.followed = call.begin
        found[key].calls.append(call)
    return list(found.values())
