"""isolated-threads: two requests at the same time must not speak on one session.

On a shared session, the end of one request commits or rolls back the half-done work of the other one. That is the
published snippet's own warning ("not thread-safe"), and `lab demo thread-safety` shows it step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from lab.judging import elapsed
from lab.judging.calls import FOREVER, Call, Request
from lab.judging.plan_parts import FIN, at_once, inject, interrupted_at_return, query, request, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Begin, Close, End, Enter, Fail, Heal, Leave, Plan, Read, Step, Stop, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

TROUBLE: dict[str, tuple[Step, ...]] = {
    "a statement was refused": (Read("t0"), Fail("t0", "statement_timeout")),
    "refused in atomic()": (Enter("t0"), Write("t0"), Fail("t0")),
    "FIN": (Read("t0"), FIN, Read("t0")),
    "closed by hand": (Read("t0"), Close("t0")),
}
"""Trouble in a request after which a faulty backend gives its connection back twice, and so to two requests."""


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
        queries = (*both, Read("t0"), Read("t1"), Read("t0"), Read("t1"), *ends)
        yield self.plan(variant, "query first", *queries)
        others = (Begin("t1"), Begin("t2"), Read("t1"), Read("t2"), Read("t1"), Read("t2"), End("t1"), End("t2"))
        yield self.plan(variant, "query first", *others, title="neither is the main thread")
        blocks = (Enter("t0"), Enter("t1"), Write("t0"), Write("t1"), Leave("t0", "rollback"), Leave("t1"))
        yield self.plan(variant, "atomic() first", *both, *blocks, *ends)
        between = (Enter("t0"), Write("t0"), Write("t1"), Write("t0"), Leave("t0", "rollback"))
        yield self.plan(variant, "a write between two", *both, *between, *ends)
        kept = (*query("t0"), *both, *between, *ends)
        yield self.plan(variant, "a write between two", *kept, title="kept session")
        connected = (*both, Read("t0"), Read("t1"), *between, *ends)
        yield self.plan(variant, "a write between two", *connected, title="both connected")
        closed = (Enter("t0"), Write("t0"), Read("t1"), Close("t1"), Write("t0"), Leave("t0", "rollback"))
        yield self.plan(variant, "a close() in one", *both, *closed, *ends)
        ended = (Begin("t0"), Enter("t0"), Write("t0"), Begin("t1"), Read("t1"), End("t1"), Leave("t0", "rollback"))
        yield self.plan(variant, "a close() in one", *ended, End("t0"), title="request_finished")
        returned = (Read("t0"), Close("t0"), Begin("t1"), Read("t1"), Read("t0"), Read("t1"), Read("t0"))
        yield self.plan(variant, "a close() in one", Begin("t0"), *returned, *ends, title="and goes on")
        # t1 gives its session back, t0 takes it up, and then t1's thread ends, with all that it still has.
        over = (
            *at_once("t0", "t1"),
            *query("t1"),
            Begin("t0"),
            Read("t0"),
            Stop("t1"),
            Read("t0"),
            Enter("t0"),
            Write("t0"),
            Leave("t0"),
        )
        yield self.plan(variant, "a thread's end", *over, End("t0"), *query("t0"))
        if several(variant, 3):
            yield self.plan(variant, "three at once", *at_once("t0", "t1", "t2"), *at_once("t2", "t1", "t0"))
        if several(variant, 4):
            rest = at_once("t1", "t2", "t3")
            longer = (Begin("t0"), Read("t0"), *rest, Read("t0"), *rest, Enter("t0"), Write("t0"), Leave("t0"))
            yield self.plan(variant, "three at once", *longer, End("t0"), *query("t0"), title="one outlives the others")
        # The check of t0's session gets no answer yet when t1 asks for one: is what is being checked still to be had?
        slow = (*query("t0"), inject("hold", moment="ready+0"), *both, Read("t0"), Read("t1"), Heal())
        yield self.plan(variant, "checked at the same time", *slow, Read("t0"), Read("t1"), *ends)
        for name, trouble in TROUBLE.items():
            yield self.plan(variant, "after an error", *request("t0", *trouble), *connected, title=name)
        if traits.own_close:
            struck = interrupted_at_return("t0", Read("t0"))
            yield self.plan(variant, "after an error", *struck, *connected, title="a signal at its end")
        yield from elapsed.beside(self, variant)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        pairs = [
            (one, other)
            for one, other in combinations(trace.requests, 2)
            if one.actor != other.actor and one.begin < other.end and other.begin < one.end
            if one.process == other.process  # fork-safe judges what two processes share
        ]
        for one, other in pairs:
            for session in one.sessions.keys() & other.sessions.keys():
                if _at_once(one, other, session):
                    step = max(one.calls[0].step, other.calls[0].step)
                    return self.broken(f"{one.actor} and {other.actor} used one session at the same time", step)
        for one, other in pairs:
            if shared := _transactions(one).keys() & _transactions(other).keys():
                step = max(_transactions(other)[shared.pop()], one.calls[0].step)
                return self.broken(f"{one.actor} and {other.actor} wrote in one transaction", step)
            if not trace.landed and (error := _ended_by(one, other) or _ended_by(other, one)):
                actors = (one.actor, other.actor) if error.actor == one.actor else (other.actor, one.actor)
                return self.broken(f"{actors[0]} lost its session when {actors[1]} closed its own", error.step)
        ends = [call for call in trace.calls if call.f == "stop" and call.ending == "ok"]
        beside = [one for one in trace.requests if any(_during(end, one) for end in ends)]
        for one in beside if not trace.landed else ():
            if (error := _lost_by(one, ends)) is not None:
                return self.broken(f"{one.actor} lost its session when another thread ended", error.step)
        if not any(_asked(one) and _asked(other) for one, other in pairs) and not any(map(_asked, beside)):
            return self.unknown("no two requests were in flight together")
        return self.kept(f"{count(len(pairs), 'pair')} of requests in flight together shared nothing")


def _during(end: Call, request: Request) -> bool:
    """Whether the thread of another actor of its process ended while the request had a session."""
    mine = request.process == end.process and request.actor != end.actor
    return mine and any(call.end < end.begin for call in request.calls if call.session) and end.begin < request.end


def _lost_by(request: Request, ends: list[Call]) -> Call | None:
    """The error of an ordinary request that had been served until a thread ended that asked for nothing."""
    if not (request.ordinary and request.errors and request.sessions):
        return None
    error = request.errors[0]
    served = max((call.end for call in request.calls if call.session and call.end <= error.begin), default=FOREVER)
    return error if any(served < end.begin < error.end and _during(end, request) for end in ends) else None


def _asked(request: Request) -> bool:
    return any(call.f in ("read", "write", "enter") for call in request.calls)


def _ended_by(one: Request, other: Request) -> Call | None:
    """The error of an ordinary request that had been served until the other one closed."""
    if not (one.ordinary and one.errors and one.sessions):
        return None
    error = one.errors[0]
    served = max((call.end for call in one.calls if call.session and call.end <= error.begin), default=FOREVER)
    closed = any(call.f in ("close", "end") and served < call.begin < error.end for call in other.calls)
    return error if closed else None


def _transactions(request: Request) -> dict[tuple[str, str], int]:
    """The transactions that a request wrote in, each with the step of its first write there.

    An xid is named with its session: a crashed server gives the xid of what it had not stored a second time.
    """
    found: dict[tuple[str, str], int] = {}
    for call in request.calls:
        if call.f == "write" and call.session and "xid" in call.value:
            found.setdefault((call.session, str(call.value["xid"])), call.step)
    return found


def _holds(request: Request, session: str) -> list[tuple[int, int]]:
    """From when to when a request has a session: each time until it closes it by hand, or begins to end.

    One that never ends has it until the actor's next request arrives, which tidies up as an end does.
    """
    found: list[tuple[int, int]] = []
    since = -1
    for call in request.calls:
        if call.session == session and since < 0:
            since = call.end
        elif call.f in ("close", "end") and since >= 0:
            found.append((since, call.begin))
            since = -1
    return found if since < 0 else [*found, (since, request.end)]


def _at_once(one: Request, other: Request, session: str) -> bool:
    mine, theirs = _holds(one, session), _holds(other, session)
    return any(begin < until and since < end for begin, end in mine for since, until in theirs)
