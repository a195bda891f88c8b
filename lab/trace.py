"""A history read as an application would tell it: calls, requests, and the transactions that it meant.

Derived from a record, never stored; judges ask it and look at nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lab.records.history import Cause, Ending, Op, Phase
from lab.records.landing import Landing
from lab.records.plan import Leave, Sql, Step
from lab.records.record import Record

FOREVER = 1 << 62
ORDINARY = ("begin", "end", "enter", "leave", "read", "write")
"""Steps that any healthy backend serves without an error, when blocks are entered before they are left."""


@dataclass(frozen=True)
class Call:
    """One step from its beginning to its end, in nanoseconds since the start of the run."""

    actor: str
    step: int
    f: str
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
        return bool(self.chain) and self.chain[0].cls == "lab.Hung"

    @property
    def failed(self) -> bool:
        """Whether it raised, or never returned."""
        return self.ending in ("fail", "info")

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

    @property
    def begin(self) -> int:
        """When it arrived."""
        return self.calls[0].begin

    @property
    def end(self) -> int:
        """When request_finished had been served; FOREVER when that did not happen."""
        last = self.calls[-1]
        return last.end if last.f == "end" and not last.hung else FOREVER

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
            if call.f not in ORDINARY:
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


@dataclass
class Token:
    """One write: its call, and whether the application rolled back the savepoint that it was made in."""

    call: Call
    name: str
    undone: bool = False


@dataclass
class Unit:
    """Writes that the application meant to belong together.

    `outcome`: `acked` (told that it is done), `aborted` (rolled back, left with an error, or never left), `doubt`
    (committing it raised), `closed` (closed with autocommit off and work pending), `open` (nothing was asked for).
    `kind`: `autocommit`, `atomic`, `manual` (autocommit off) or `by hand` (after a BEGIN of the application's own).
    """

    actor: str
    kind: str
    alias: str
    tokens: list[Token] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    outcome: str = "open"
    closer: Call | None = None
    closed_inside: bool = False
    swallowed: bool = False

    @property
    def written(self) -> list[Token]:
        """The tokens whose statement returned."""
        return [token for token in self.tokens if token.call.ending == "ok"]

    @property
    def begin(self) -> int:
        """When its first call began."""
        return self.calls[0].begin if self.calls else 0

    @property
    def end(self) -> int:
        """When it was decided."""
        return self.closer.end if self.closer else FOREVER


class Trace:
    """What a record says, arranged for judging."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.landed: tuple[Landing, ...] = record.landed

    @cached_property
    def calls(self) -> list[Call]:
        """All calls, in the order in which they began."""
        steps = self.record.plan.steps
        open_: dict[tuple[str, int], Op] = {}
        found: list[Call] = []
        for op in self.record.ops:
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

    @cached_property
    def requests(self) -> list[Request]:
        """All requests, in the order in which they arrived."""
        found: dict[tuple[str, int], Request] = {}
        for call in self.calls:
            if call.request >= 0 and call.ending != "skip":
                key = (call.actor, call.request)
                found.setdefault(key, Request(*key)).calls.append(call)
        return list(found.values())

    @cached_property
    def present(self) -> dict[str, int]:
        """How often the server holds each token at the end."""
        counts: dict[str, int] = {}
        for row in self.record.rows:
            counts[row.token] = counts.get(row.token, 0) + 1
        return counts

    @cached_property
    def units(self) -> list[Unit]:
        """All transactions that the application meant, actor by actor."""
        by_actor: dict[str, list[Call]] = {}
        for call in self.calls:
            by_actor.setdefault(call.actor, []).append(call)
        manual = not self.record.traits.autocommit
        return [unit for calls in by_actor.values() for unit in _Units(self.record.run, manual).read(calls)]

    # -- faults -----------------------------------------------------------------------------------------------------

    def during(self, begin: int, end: int) -> list[Landing]:
        """The faults that were at work at some time between the two."""
        return [landing for landing in self.landed if landing.time < end and begin < max(landing.healed, landing.time)]

    def met(self, request: Request) -> bool:
        """Whether a fault struck while the request ran, or the request got an error after one had struck."""
        return bool(self.during(request.begin, request.end)) or bool(
            request.errors and any(landing.time < request.errors[0].end for landing in self.landed)
        )

    @cached_property
    def healed(self) -> int:
        """When the last fault had ended."""
        return max((landing.healed for landing in self.landed), default=-1)

    @cached_property
    def stale(self) -> int:
        """How many sessions died without a running request noticing: each may cost one later request an error."""
        return sum(self._idle(landing) for landing in self.landed)

    def _idle(self, landing: Landing) -> int:
        dead = set(landing.struck)
        number = len(dead) - self._used(dead, landing.time, landing.at)
        cut = set(landing.cut) - dead
        return max(number, 0) + max(len(cut) - self._used(cut, landing.healed, landing.healed), 0)

    def _used(self, sessions: set[str], since: int, until: int) -> int:
        """How many of the sessions, which died at some time between the two, cost the request that was using them an error; one not seen to use any uses one.

        A session that dies unnoticed under a running request is as stale for the next one as an idle one.
        """
        used = 0
        for request in self.requests:
            if not request.running_between(since, until) or not any(e.end > since for e in request.errors):
                continue
            known = {session for session, used in request.sessions.items() if used <= until}
            started = any(call.begin < until and call.f in ("read", "write", "enter", "sql") for call in request.calls)
            used += len(known & sessions) if known else int(started)
        return used


class _Units:
    """Reads one actor's calls as transactions."""

    def __init__(self, run: str, manual: bool) -> None:
        self._run = run
        self._default_manual = manual
        self._manual = manual
        self._found: list[Unit] = []
        self._block: Unit | None = None
        self._pending: Unit | None = None  # autocommit off: what has been written since the last commit
        self._by_hand = False  # the application sent BEGIN itself, and with it took charge
        self._marks: list[int] = []  # for each open block, how many tokens there were when it was entered

    def read(self, calls: list[Call]) -> list[Unit]:
        for call in calls:
            if call.ending != "skip":
                getattr(self, f"_on_{call.f}", self._on_other)(call)
        return self._found

    def _on_other(self, call: Call) -> None:
        if self._block is None and self._pending is not None and call.failed:
            self._pending.swallowed = True  # the server has aborted what is pending, and the application was told
        if self._block is not None:
            self._block.calls.append(call)
            if call.failed and getattr(call.plan, "swallow", False):
                self._block.swallowed = True
            elif call.failed:
                self._abort(call)

    def _on_begin(self, call: Call) -> None:
        self._manual = self._default_manual

    def _on_sql(self, call: Call) -> None:
        if isinstance(call.plan, Sql) and call.plan.text.upper().startswith(("BEGIN", "START TRANSACTION")):
            self._by_hand = True
        self._on_other(call)

    def _on_enter(self, call: Call) -> None:
        if call.failed:
            if self._block is not None:
                self._abort(call)
            return
        if self._block is None:
            self._block = Unit(call.actor, "atomic", getattr(call.plan, "alias", "default"))
            self._found.append(self._block)
        self._block.calls.append(call)
        self._marks.append(len(self._block.tokens))

    def _on_leave(self, call: Call) -> None:
        block = self._block
        if block is None:
            return
        block.calls.append(call)
        since = self._marks.pop() if self._marks else 0
        rollback = isinstance(call.plan, Leave) and call.plan.outcome == "rollback"
        if rollback:
            for token in block.tokens[since:]:
                token.undone = True
        if self._marks:
            if call.failed:
                self._abort(call)
            return
        block.outcome = "aborted" if rollback else "doubt" if call.failed else "acked"
        block.closer = call
        self._block = None

    def _on_write(self, call: Call) -> None:
        token = Token(call, f"{self._run}:{call.step}")
        if self._block is not None:
            self._block.tokens.append(token)
            return self._on_other(call)
        if self._by_hand:
            self._found.append(Unit(call.actor, "by hand", getattr(call.plan, "alias", "default"), [token], [call]))
            return
        if self._manual:
            if self._pending is None:
                self._pending = Unit(call.actor, "manual", getattr(call.plan, "alias", "default"))
                self._found.append(self._pending)
            self._pending.tokens.append(token)
            self._pending.calls.append(call)
            return self._on_other(call)
        unit = Unit(call.actor, "autocommit", getattr(call.plan, "alias", "default"), [token], [call], closer=call)
        unit.outcome = "acked" if call.ending == "ok" else "doubt"
        self._found.append(unit)

    def _on_autocommit(self, call: Call) -> None:
        if self._block is None and call.ending == "ok":
            on = bool(call.value.get("on"))
            if on and self._pending is not None:  # switching autocommit on ends the transaction, how is not said
                self._settle(call, "doubt")
            self._manual = not on
        else:
            self._on_other(call)

    def _on_commit(self, call: Call) -> None:
        if self._block is not None:
            return self._on_other(call)
        self._settle(call, "doubt" if call.failed else "acked")

    def _on_rollback(self, call: Call) -> None:
        if self._block is not None:
            return self._on_other(call)
        self._settle(call, "aborted" if call.ending == "ok" else "doubt")

    def _on_close(self, call: Call) -> None:
        if self._block is not None:
            self._block.closed_inside = True
            return self._on_other(call)
        self._settle(call, "doubt" if call.failed else "closed")
        self._by_hand = False

    def _on_end(self, call: Call) -> None:
        if self._block is not None:
            self._abort(call)
        self._settle(call, "doubt" if call.failed else "closed")
        self._manual, self._by_hand = self._default_manual, False

    def _settle(self, call: Call, outcome: str) -> None:
        if self._pending is not None:
            told = outcome == "closed" and self._pending.swallowed
            self._pending.outcome = "doubt" if told else outcome
            self._pending.closer = call
            self._pending = None

    def _abort(self, call: Call) -> None:
        """An error left the view, or the request ended inside: nothing of the block was committed by the application."""
        block = self._block
        assert block is not None
        if call not in block.calls:
            block.calls.append(call)
        # A COMMIT that raised inside a nested block cannot be: only the outermost block commits.
        block.outcome = "aborted"
        block.closer = call
        self._block = None
        self._marks = []
