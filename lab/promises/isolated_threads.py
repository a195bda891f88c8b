"""isolated-threads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from lab.promise import Promise, promise
from lab.promises.phrase import query
from lab.records.plan import Begin, Close, End, Enter, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.trace import FOREVER, Request, Trace


@promise
class IsolatedThreads(Promise):
    """At stake when requests of two actors were in flight at the same time and both asked for something.

    A request holds a session from its first statement there until it closes it or ends. One that is refused
    because another is in flight is isolated too.
    """

    id = "isolated-threads"
    sentence = "Two requests in flight never share a transaction, nor a session at the same time."

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        both = (Begin("t0"), Begin("t1"))
        ends = (End("t0"), End("t1"))
        yield self.plan(variant, "query first", *both, Read("t0"), Read("t1"), Read("t0"), Read("t1"), *ends)
        blocks = (Enter("t0"), Enter("t1"), Write("t0"), Write("t1"), Leave("t0", "rollback"), Leave("t1"))
        yield self.plan(variant, "atomic() first", *both, *blocks, *ends)
        between = (Enter("t0"), Write("t0"), Write("t1"), Write("t0"), Leave("t0", "rollback"))
        yield self.plan(variant, "a write between two", *both, *between, *ends)
        kept = (*query("t0"), *both, *between, *ends)
        yield self.plan(variant, "a write between two", *kept, title="kept session")
        closed = (Enter("t0"), Write("t0"), Read("t1"), Close("t1"), Write("t0"), Leave("t0", "rollback"))
        yield self.plan(variant, "a close() in one", *both, *closed, *ends)
        ended = (Begin("t0"), Enter("t0"), Write("t0"), Begin("t1"), Read("t1"), End("t1"), Leave("t0", "rollback"))
        yield self.plan(variant, "a close() in one", *ended, End("t0"), title="request_finished")

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        pairs = [
            (one, other)
            for one, other in combinations(trace.requests, 2)
            if one.actor != other.actor and one.begin < other.end and other.begin < one.end
        ]
        for one, other in pairs:
            for session in one.sessions.keys() & other.sessions.keys():
                if _at_once(one, other, session):
                    step = max(one.calls[0].step, other.calls[0].step)
                    return self.broken(f"{one.actor} and {other.actor} used one session at the same time", step)
        owners: dict[str, set[str]] = {}
        for unit in trace.units:
            for token in unit.written:
                owners.setdefault(str(token.call.value.get("xid")), set()).add(unit.actor)
        if shared := [actors for actors in owners.values() if len(actors) > 1]:
            return self.broken(f"{' and '.join(sorted(shared[0]))} wrote in one transaction")
        if not any(_asked(one) and _asked(other) for one, other in pairs):
            return self.unknown("no two requests were in flight together")
        return self.kept(f"{len(pairs)} pairs of requests in flight together shared nothing")


def _asked(request: Request) -> bool:
    return any(call.f in ("read", "write", "enter") for call in request.calls)


def _hold(request: Request, session: str) -> tuple[int, int]:
    """From when to when a request has a session: until it closes it by hand, or begins to end."""
    since = request.sessions[session]
    uses = [call.end for call in request.calls if call.session == session]
    for call in request.calls:
        if call.begin >= since and call.f in ("close", "end") and call.begin >= uses[-1]:
            return since, call.begin
    return since, FOREVER


def _at_once(one: Request, other: Request, session: str) -> bool:
    begin, end = _hold(one, session)
    since, until = _hold(other, session)
    return begin < until and since < end
