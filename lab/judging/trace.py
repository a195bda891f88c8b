"""A record arranged for judging: calls, requests, transactions, and what faults did to them.

A trace is derived from a record and never stored.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import cached_property
from typing import Any, Self, cast

from lab.judging.calls import FOREVER, Call, Request, read_calls, read_requests
from lab.judging.transactions import Unit, read_units
from lab.records.landing import Landing
from lab.records.record import Record


class Trace:
    """One record, read once: each view is computed when a judge first asks for it. It is to be read only.

    Some twenty judges read the same record, one after the other: they get the same trace.
    """

    def __new__(cls, record: Record) -> Self:
        last = _LAST.get()
        if last is not None and last.record is record:
            return cast("Self", last)
        trace = super().__new__(cls)
        _LAST.set(trace)
        return trace

    def __init__(self, record: Record) -> None:
        self.record = record
        self.landed: tuple[Landing, ...] = record.landed

    @cached_property
    def calls(self) -> list[Call]:
        """All calls, in the order in which they began."""
        return read_calls(self.record)

    @cached_property
    def requests(self) -> list[Request]:
        """All requests, in the order in which they arrived."""
        return read_requests(self.calls)

    def one_unit(self, call: Call, other: Call) -> bool:
        """Whether Django was told nothing of an end between the two: then they may share a session and its state."""
        return self._spans[id(call)] == self._spans[id(other)]

    @cached_property
    def _spans(self) -> dict[int, tuple[str, int]]:
        spans: dict[int, tuple[str, int]] = {}
        number: dict[str, int] = {}
        for call in self.calls:
            before = number.get(call.actor, 0) + (call.told and call.f == "begin")
            spans[id(call)] = call.actor, before
            # Within a request close() ends the session, but the request may set it up again.
            over = (call.told and call.f != "begin") or (call.f == "close" and call.lifecycle != "request")
            number[call.actor] = before + over
        return spans

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
        return read_units(self.calls, self.record.run, manual=not self.record.traits.autocommit)

    # -- faults -----------------------------------------------------------------------------------------------------

    def during(self, begin: int, end: int) -> list[Landing]:
        """The faults that were at work at some time between the two."""
        return [landing for landing in self.landed if landing.time < end and begin < max(landing.healed, landing.time)]

    def time_passed(self, begin: int, end: int) -> bool:
        """Whether the subject's clocks were put forward between the two."""
        return any(event.f == "elapse" and begin < event.time < end for event in self.record.events)

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
        """Whether an ordinary request failed before a fault struck: then no fault need be the cause of later ones."""
        ordinary = [request for request in self.requests if request.ordinary and request.errors]
        return any(one.errors[0].end < self.struck < FOREVER and not self.crowded_out(one) for one in ordinary)

    def crowded_out(self, request: Request) -> bool:
        """Whether a request may have failed only because other requests had all the sessions.

        That is so where it got no session of the alias while others were in flight. It is not so where as many requests
        had been served side by side before, unless one of the others gives nothing back because it hangs or its thread
        ended. A thread of which Django hears no end counts as in flight while it may hold a session, where `threads` or
        a maximum is known.
        """
        error = request.errors[0]
        alias = error.alias
        sessions = _sessions(request, alias)
        others = [other for other in self.requests if other.actor != request.actor]
        beside = [other for other in others if other.running_between(request.begin, error.end)]
        if any(other.calls[-1].f == "stop" and other.begin < error.end for other in others):
            return not sessions
        if not sessions and self._occupied(request, error, alias):
            return True
        if sessions or not beside:
            return False
        if any(call.hung for other in beside for call in other.calls):
            return True
        # One that is over has given its session back, one that only begins has none: what is handed on must work.
        holding = [one for one in beside if one.end > error.end and any(_asked(call, error) for call in one.calls)]
        return len(holding) >= self._served(request.begin, alias)

    def _occupied(self, request: Request, error: Call, alias: str) -> bool:
        """Whether other threads of its process may have as many sessions of the alias as the variant says it has."""
        most = self.record.plan.variant.threads or self.record.maximum
        if not most:
            return False
        held: set[str] = set()
        for call in self.calls:
            if call.actor == request.actor or call.begin > error.end:
                continue
            if call.process != request.process:
                continue
            if (
                (call.session or hasattr(call.plan, "alias"))
                and call.alias == alias
                and (call.ending == "ok" or call.meant)
            ):
                held.add(call.actor)
            if (call.told and call.f != "begin") or (call.f == "close" and call.alias == alias):
                held.discard(call.actor)
        return len(held) >= most

    def crowded(self, call: Call) -> bool:
        """Whether more requests of its process were in flight during the call than the variant says it is made for."""
        threads = self.record.plan.variant.threads
        mine = [one for one in self.requests if one.process == call.process]
        beside = [one for one in mine if one.running_between(call.begin, call.end)]
        return threads is not None and len(beside) > threads

    def _served(self, until: int, alias: str) -> int:
        """The largest number of requests that had a session of the alias at the same time before `until`."""
        used = [(_sessions(one, alias), one.end) for one in self.requests]
        held = [(min(sessions), end) for sessions, end in used if sessions]
        return max((sum(a <= begin < b for a, b in held) for begin, _ in held if begin < until), default=0)

    @cached_property
    def healed(self) -> int:
        """When the last fault had ended."""
        return max((landing.healed for landing in self.landed), default=-1)

    @cached_property
    def stale(self) -> int:
        """How many sessions died without an error in a running request: each may cost one later request an error."""
        return sum(self._idle(landing) for landing in self.landed)

    def _idle(self, landing: Landing) -> int:
        # A session that answers after the heal was frozen or cut off for a while: it did not die.
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


def _asked(call: Call, error: Call) -> bool:
    """Whether the call may have taken a session before the error came up."""
    return call.begin < error.end and call.f != "begin"


def _sessions(request: Request, alias: str) -> list[int]:
    """When the request was first seen to use each of its sessions of the alias."""
    first = {call.session: call.end for call in reversed(request.calls) if call.session and call.alias == alias}
    return list(first.values())


_LAST: ContextVar[Any] = ContextVar("trace", default=None)
"""The trace made last, in each thread of its own."""
