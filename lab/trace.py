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
ORDINARY = ("begin", "end", "enter", "leave", "read", "write", "look")
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
    `closed_inside`: close() came inside a block. `swallowed`: an error came before the end, and the application went
    on. `doomed`: an inner block without a savepoint was rolled back. `vague`: the application cannot know what holds.
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
    doomed: bool = False
    vague: bool = False

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
        depth: dict[str, int] = {}
        outside: set[str] = set()
        for call in self.calls:
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
        return [unit for calls in by_actor.values() for unit in _Actor(self.record.run, manual).read(calls)]

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
    def struck(self) -> int:
        """When the first fault struck; FOREVER when none did."""
        return min((landing.time for landing in self.landed), default=FOREVER)

    @cached_property
    def failed_before(self) -> bool:
        """Whether an ordinary request failed before any fault struck: what fails later need not be a fault's doing."""
        ordinary = [request for request in self.requests if request.ordinary and request.errors]
        return any(one.errors[0].end < self.struck < FOREVER and not self.crowded_out(one) for one in ordinary)

    def crowded_out(self, request: Request) -> bool:
        """Whether its error may only say that others had all the sessions: it got none while they were in flight.

        Not where as many have been served side by side before, unless one of the others gives nothing back, because
        it hangs or its thread has ended.
        """
        error = request.errors[0]
        others = [other for other in self.requests if other.actor != request.actor]
        beside = [other for other in others if other.running_between(request.begin, error.end)]
        if any(other.calls[-1].f == "stop" and other.begin < error.end for other in others):
            return not request.sessions
        if request.sessions or not beside:
            return False
        return any(call.hung for other in beside for call in other.calls) or len(beside) >= self._served(request.begin)

    def crowded(self, call: Call) -> bool:
        """Whether more requests were in flight during the call than the variant says that it is made for."""
        threads = self.record.plan.variant.threads
        return threads is not None and sum(one.running_between(call.begin, call.end) for one in self.requests) > threads

    def _served(self, until: int) -> int:
        """How many requests at most had a session at one time by then."""
        held = [(min(one.sessions.values()), one.end) for one in self.requests if one.sessions]
        return max((sum(a <= begin < b for a, b in held) for begin, _ in held if begin < until), default=0)

    @cached_property
    def healed(self) -> int:
        """When the last fault had ended."""
        return max((landing.healed for landing in self.landed), default=-1)

    @cached_property
    def stale(self) -> int:
        """How many sessions died without a running request noticing: each may cost one later request an error."""
        return sum(self._idle(landing) for landing in self.landed)

    def _idle(self, landing: Landing) -> int:
        # A session that answers later was frozen or cut off for a while, and not dead.
        alive = {call.session for call in self.calls if call.begin > landing.healed}
        dead = set(landing.struck) - alive
        number = len(dead) - self._used(dead, landing.time, landing.at)
        cut = set(landing.cut) - dead
        return max(number, 0) + max(len(cut) - self._used(cut, landing.healed, landing.healed), 0)

    def _used(self, sessions: set[str], since: int, until: int) -> int:
        """How many of the sessions, which died between the two, cost the request that was using them an error.

        A request that was not seen to use any counts for one. A session that dies unnoticed under a running request is
        as stale for the next one as an idle one.
        """
        used = 0
        for request in self.requests:
            if not request.running_between(since, until) or not any(e.end > since for e in request.errors):
                continue
            known = {session for session, used in request.sessions.items() if used <= until}
            started = any(call.begin < until and call.f in ("read", "write", "enter", "sql") for call in request.calls)
            used += len(known & sessions) if known else int(started)
        return used


class _Actor:
    """Reads one actor's calls as transactions: each alias has its own, an error that leaves the view ends them all."""

    def __init__(self, run: str, manual: bool) -> None:
        self._run = run
        self._manual = manual
        self._aliases: dict[str, _Units] = {}
        self._blocks: list[str] = []  # the aliases of the open atomic blocks, the innermost last

    def read(self, calls: list[Call]) -> list[Unit]:
        """The units in the order of the aliases' first use."""
        for call in calls:
            if call.ending != "skip":
                self._take(call)
        return [unit for alias in self._aliases.values() for unit in alias.found]

    def _take(self, call: Call) -> None:
        if call.f in ("begin", "end", "stop"):
            for each in self._aliases.values():
                each.take(call)
            self._blocks = [] if call.ends_blocks else self._blocks
            return
        inner = self._blocks.pop() if call.f == "leave" and self._blocks else ""
        alias = inner or getattr(call.plan, "alias", "default")
        if alias not in self._aliases:
            self._aliases[alias] = _Units(call.actor, alias, self._run, self._manual)
        self._aliases[alias].take(call)
        if call.f == "enter" and not call.failed:
            self._blocks.append(alias)
        if call.ends_blocks:
            self._blocks = []
            for each in self._aliases.values():
                each.view_ends(call)


class _Units:
    """What one actor does through one alias, as transactions."""

    def __init__(self, actor: str, alias: str, run: str, manual: bool) -> None:
        self.found: list[Unit] = []
        self._actor = actor
        self._alias = alias
        self._run = run
        self._default_manual = manual
        self._manual = manual  # autocommit is off
        self._by_hand = False  # the application sent BEGIN itself, and with it took charge
        self._unit: Unit | None = None  # the open transaction
        self._marks: list[tuple[int, bool]] = []  # for each open block, the tokens before it, and if it is a savepoint

    def take(self, call: Call) -> None:
        """The actor's next call."""
        getattr(self, f"_on_{call.f}", self._on_other)(call)

    def view_ends(self, call: Call) -> None:
        """An error left the view, and with it all blocks: the application committed nothing of them."""
        if self._marks and self._unit is not None:
            if self._unit.kind == "atomic":
                self._decide("aborted", call)
            else:
                self._unit.vague = True  # how much of what is pending is lost, nobody has said
        self._marks = []

    def _new(self, kind: str) -> Unit:
        self.found.append(Unit(self._actor, kind, self._alias))
        return self.found[-1]

    def _decide(self, outcome: str, call: Call) -> None:
        unit = self._unit
        if unit is None:
            return
        if call not in unit.calls:
            unit.calls.append(call)
        told = outcome == "closed" and unit.swallowed
        unit.outcome = "doubt" if told or unit.vague else outcome
        unit.closer = call
        self._unit = None

    def _on_other(self, call: Call) -> None:
        if self._unit is not None:
            self._unit.calls.append(call)
            self._unit.swallowed |= call.failed  # the application was told that the server may have aborted all of it

    def _on_begin(self, call: Call) -> None:
        """request_started tidies up as request_finished does; nothing is left to tidy where a request had ended."""
        if self._marks and self._unit is not None:
            self._unit.closed_inside = True
        elif self._unit is not None:
            self._on_close(call)

    def _on_sql(self, call: Call) -> None:
        if isinstance(call.plan, Sql) and call.plan.text.upper().startswith(("BEGIN", "START TRANSACTION")):
            self._by_hand = True
        self._on_other(call)

    def _on_enter(self, call: Call) -> None:
        if call.failed:
            return
        if self._unit is None and not self._by_hand:
            self._unit = self._new("manual" if self._manual else "atomic")
        if self._unit is not None:
            self._unit.calls.append(call)
            self._marks.append((len(self._unit.tokens), getattr(call.plan, "savepoint", True)))

    def _on_leave(self, call: Call) -> None:
        unit = self._unit
        if unit is None or not self._marks:
            return
        unit.calls.append(call)
        since, savepoint = self._marks.pop()
        outermost = not self._marks
        rollback = isinstance(call.plan, Leave) and call.plan.outcome == "rollback"
        if unit.kind == "manual":  # all blocks are savepoints in what is pending
            unit.vague |= call.failed or (rollback and not savepoint)
        elif rollback and not savepoint and not outermost:
            unit.doomed = True  # there is no savepoint to go back to: the whole block is rolled back with it
        if rollback:
            for token in unit.tokens[0 if unit.doomed else since :]:
                token.undone = True
        if outermost and unit.kind == "atomic":
            self._decide("aborted" if rollback or unit.doomed else "doubt" if call.failed else "acked", call)

    def _on_write(self, call: Call) -> None:
        token = Token(call, f"{self._run}:{call.step}")
        if self._by_hand:
            unit = self._new("by hand")
        elif self._unit is not None or self._manual:
            unit = self._unit = self._unit or self._new("manual")
            unit.swallowed |= call.failed
        else:
            unit = self._new("autocommit")
            unit.outcome, unit.closer = "acked" if call.ending == "ok" else "doubt", call
        unit.tokens.append(token)
        unit.calls.append(call)

    def _on_autocommit(self, call: Call) -> None:
        if self._marks or call.failed:
            self._on_other(call)
            return
        on = bool(call.value.get("on"))
        if on:  # switching autocommit on ends the transaction, how is not said
            self._decide("doubt", call)
        self._manual = not on

    def _on_commit(self, call: Call) -> None:
        if self._marks:
            self._on_other(call)
        else:
            self._decide("doubt" if call.failed else "acked", call)

    def _on_rollback(self, call: Call) -> None:
        if self._marks:
            self._on_other(call)
        else:
            self._decide("doubt" if call.failed else "aborted", call)

    def _on_close(self, call: Call) -> None:
        if self._marks and self._unit is not None:
            self._unit.closed_inside = True
            self._unit.vague |= self._unit.kind == "manual"
            self._on_other(call)
            return
        self._decide("doubt" if call.failed else "closed", call)
        self._manual, self._by_hand = self._default_manual, False  # the next connection is as the settings say

    def _on_end(self, call: Call) -> None:
        self.view_ends(call)
        self._on_close(call)

    def _on_stop(self, call: Call) -> None:
        self._decide("doubt", call)  # whoever keeps the connection may end what is open as he likes
        self._marks = []
