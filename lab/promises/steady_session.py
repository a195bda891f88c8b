"""steady-session: a request must stay on its session, or what it has set there is gone at its next statement.

A pooler in transaction mode gives each transaction another session: SET, temporary tables and advisory locks then
belong to a stranger. goauthentik/authentik #23876: an advisory lock taken on one session could not be given back on the
next.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from lab.judging import elapsed
from lab.judging.calls import Call
from lab.judging.plan_parts import TERMINATE, request, several
from lab.judging.session_state import FIELDS, LEAVE, difference, leave, sets, state
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Begin, End, Enter, Fail, Leave, Look, Plan, Read, Sql, Step, Use, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

PAUSE = "SELECT pg_sleep(0.3)"
"""A statement of another request, during which the first request does nothing."""


@promise
class SteadySession(Promise):
    """At stake when a request looked at its session again after it had set something there, and no fault struck it.

    Where a fault has ended that session, the request must be told by an error.
    """

    id = "steady-session"
    sentence = (
        "What a request sets on its session (SET, temp table, advisory lock) is still there at its next statement."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        kinds = [kind for kind in LEAVE if kind not in ("search_path", "read-only")]
        look = Look("t0")
        for kind in kinds:
            yield self.plan(variant, kind, *request("t0", look, *leave("t0", kind), look, Write("t0"), look))
        everything = leave("t0", *kinds)
        block = (Enter("t0"), Write("t0"), Leave("t0"))
        again = request("t0", look, *everything, look, Read("t0"), look, *block, look)
        yield self.plan(variant, "after atomic()", *again)
        yield self.plan(variant, "after atomic()", *request("t0", look), *again, title="kept session")
        inside = request("t0", look, Enter("t0"), *everything, look, Write("t0"), Read("t0"), look, Leave("t0"), look)
        yield self.plan(variant, "set in atomic()", *inside)
        error = (Fail("t0", swallow=True), look, Enter("t0"), Enter("t0"), Fail("t0", swallow=True))
        yield self.plan(
            variant,
            "after a statement's error",
            *request("t0", look, *everything, look, *error, Leave("t0", "rollback"), Leave("t0"), look),
        )
        beside = request("t0", look, Look("t0", alias="other"), *everything, look, Look("t0", alias="other"))
        yield self.plan(variant, "beside another alias", *beside)
        # 12 statements in each: an ENGINE that renews its session after so many statements does so within the request.
        many = (Use("t0", "repeat"),) * 10
        counted = request("t0", look, *leave("t0", "SET", "temp table"), look, *many, look)
        yield self.plan(variant, "after many statements", *counted, *counted)
        editors: tuple[Step, ...] = (Use("t0", "schema-editor"), look, Use("t0", "schema-editor-refused"), look)
        migrated = request("t0", look, *leave("t0", "SET", "temp table"), look, *editors)
        yield self.plan(variant, "after a migration's statements", *migrated)
        yield from elapsed.in_request(self, variant)
        undone = (Enter("t0"), Enter("t0"), *leave("t0", "SET"), look, Leave("t0", "rollback"))
        again = (look, *leave("t0", "SET"), look, Read("t0"), look, Leave("t0"), look)
        yield self.plan(variant, "set in atomic()", *request("t0", look, *undone, *again), title="again, once undone")
        kept = leave("t0", "SET", "temp table", "advisory lock")
        lost = (look, *kept, look, TERMINATE, Look("t0", swallow=True), Look("t0", swallow=True))
        yield self.plan(variant, "its session lost", *request("t0", *lost), *request("t0", look))
        if several(variant):
            rest = (Begin("t0"), look, *everything, look, *request("t1", Sql("t1", PAUSE)), look, End("t0"))
            yield self.plan(variant, "after a pause", *rest)
            busy: tuple[Step, ...] = (Begin("t0"), Begin("t1"), look, *everything, look)
            busy += (Read("t1"), Look("t1"), look, End("t1"), look, *request("t1", Read("t1")), look, End("t0"))
            yield self.plan(variant, "beside another request", *busy)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        compared = 0
        for each in trace.requests:
            for alias in dict.fromkeys(call.alias for call in each.calls):
                calls = [call for call in each.calls if call.alias == alias]
                if (loss := _after_loss(trace, calls)) is not None:
                    if (silent := _silently(calls, *loss)) is not None:
                        what = "a request's session was lost, and what it had set is gone unsaid"
                        return self.broken(what, silent.step)
                    compared += loss[1][-1].failed  # by that call the request was told
                if (moved := _moved(trace, calls)) is not None:
                    return self.broken("a request without a fault ran on two sessions", moved.step)
                ever = {field for call in calls for field in sets(call)}
                for before, after, between in _pairs(trace, calls):
                    if lost := _lost(before, after, between, ever):
                        return self.broken(f"within one request without a fault, {lost}", after.step)
                    compared += any(sets(call) for call in calls if call.begin < after.begin)
        if not compared:
            return self.unknown("no request looked again at a session on which it had set something")
        return self.kept(f"{count(compared, 'time')} what a request had set was still there")


def _after_loss(trace: Trace, calls: list[Call]) -> tuple[Call, list[Call]] | None:
    """The last look at a session on which the request had set something, and its calls once that session was lost.

    They end with the first one that raises: by that the request is told.
    """
    last: Call | None = None
    dirty = False
    for place, call in enumerate(calls):
        if last is not None and any(
            last.session in landing.struck and last.end < landing.time < call.begin for landing in trace.landed
        ):
            later = calls[place:]
            told = next((number for number, each in enumerate(later, 1) if each.failed), len(later))
            return last, later[:told]
        if call.f in ("close", "fork", "exit"):
            last, dirty = None, False
        dirty |= bool(sets(call)) and call.ending == "ok"
        if isinstance(call.plan, Look) and call.ending == "ok":
            last = call if dirty else None
    return None


def _silently(calls: list[Call], last: Call, later: list[Call]) -> Call | None:
    """The first look in `later` that goes well and no longer shows what the request had set before its `last` look."""
    ours = {field for call in calls if call.begin < last.begin for field in sets(call)}
    was = {field: value for field, value in state(last).items() if field in ours}
    for call in later:
        if call.f in ("close", "fork", "exit"):
            return None
        if isinstance(call.plan, Look) and call.ending == "ok" and difference(was, state(call)):
            return call
    return None


def _moved(trace: Trace, calls: list[Call]) -> Call | None:
    """The first statement that ran on another session than the one before it, and nothing explains that."""
    last: Call | None = None
    for call in calls:
        if call.f in ("close", "exit", "fork") or (call.failed and not call.meant):
            last = None
        elif call.session:
            if last is not None and call.session != last.session and not trace.during(last.begin, call.end):
                return call
            last = call
    return None


def _pairs(trace: Trace, calls: list[Call]) -> Iterator[tuple[Call, Call, list[Call]]]:
    """Two looks in a row with the calls between them, all of which leave the session as it is, or set something."""
    places = [place for place, call in enumerate(calls) if isinstance(call.plan, Look) and call.ending == "ok"]
    for first, second in pairwise(places):
        between = calls[first + 1 : second]
        if all(map(_harmless, between)) and not trace.during(calls[first].begin, calls[second].end):
            yield calls[first], calls[second], between


def _harmless(call: Call) -> bool:
    if call.meant:
        return not call.value.get("in_atomic")
    if getattr(call.plan, "how", "") in ("repeat", "schema-editor", "schema-editor-refused"):
        return call.ending == "ok"
    rollback = isinstance(call.plan, Leave) and call.plan.outcome == "rollback"
    return call.ending == "ok" and call.f in ("read", "write", "enter", "leave", "sql") and not rollback


def _lost(before: Call, after: Call, between: list[Call], ever: set[str]) -> str:
    """What is not as it was before, or as it was set in between; "" when all is. `ever`: all that the request has set.

    Between a block and what is outside of it, only what the request has set is compared. The rest may come with BEGIN:
    the isolation level (by psycopg2, depending on autocommit), or what a backend sets by SET LOCAL. Whether a block has
    what was configured is judged by initialised.
    """
    expected, found = state(before), state(after)
    if before.value.get("in_atomic") != after.value.get("in_atomic"):
        found = {field: value for field, value in found.items() if field in ever}
    for call in between:
        for text, field, value in LEAVE.values():
            if isinstance(call.plan, Sql) and call.plan.text == text:
                expected[field] = value
        if sets(call) == FIELDS:
            return ""  # a statement of which the lab does not know what it sets may have changed anything
    return difference(expected, found)
