"""idle-after-close: a kept session that stays in a transaction holds locks and stops VACUUM while nothing runs.

A BEGIN sent by hand, or autocommit off, leaves a transaction open when the request ends. It blocks migrations and, in
the end, the whole table: canonical/test_observer PR 571 found 23 sessions "idle in transaction" for up to 40 minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import lifecycles
from lab.judging.calls import ORDINARY, Request
from lab.judging.plan_parts import at_once, autocommit_off, query, request, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.census import Census
from lab.records.plan import Autocommit, Enter, Fail, Leave, Plan, Read, Sql, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

WHILE = "SELECT pg_sleep(0.5)"
"""A statement that takes long enough for a thread of the backend's own to have looked at the idle sessions."""


@promise
class IdleAfterClose(Promise):
    """At stake whenever a request ended while the server could be reached; the census had time to settle.

    A unit of work of whose end Django is not told, as in a command, must itself have closed what it opened.
    Session-level advisory locks belong to clean-session. A session that a fault struck is left out: the backend can no
    longer tidy it.
    """

    id = "idle-after-close"
    sentence = "When a request has ended, its session holds no open transaction and no lock that a transaction holds."

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        after = query("t0")
        yield self.plan(variant, "query", *request("t0", Read("t0"), Write("t0")), *after)
        yield self.plan(variant, "atomic()", *request("t0", Enter("t0"), Write("t0"), Leave("t0")), *after)
        error = request("t0", Enter("t0"), Write("t0"), Fail("t0"))
        yield self.plan(variant, "atomic() left with an error", *error, *after)
        by_hand = request("t0", Read("t0"), Sql("t0", "BEGIN"), Write("t0"))
        yield self.plan(variant, "BEGIN by hand", *by_hand, *after)
        failed = request("t0", Read("t0"), Sql("t0", "BEGIN"), Write("t0"), Fail("t0"))
        yield self.plan(variant, "BEGIN by hand", *failed, *after, title="aborted transaction")
        off = request("t0", Read("t0"), Autocommit("t0"), Write("t0"))
        yield self.plan(variant, "autocommit off", *off, *after)
        off = request("t0", Read("t0"), Autocommit("t0"), Read("t0"))
        yield self.plan(variant, "autocommit off", *off, *after, title="reads only")
        off = request("t0", Read("t0"), Autocommit("t0"), Write("t0"), Fail("t0"))
        yield self.plan(variant, "autocommit off", *off, *after, title="aborted transaction")
        work = request("t0", Read("t0"), Write("t0"))
        yield self.plan(autocommit_off(variant), "AUTOCOMMIT=False", *work, *after)
        yield self.plan(variant, "block never left", *request("t0", Enter("t0"), Write("t0")), *after)
        if several(variant):
            later = request("t1", Read("t1"), Sql("t1", WHILE))
            yield self.plan(variant, "a while later", *at_once("t0", "t1"), *later, *query("t0"), *later)
        yield from lifecycles.idle_after_close(self, variant)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        struck = {session for landing in record.landings for session in landing.struck + landing.cut}
        looked = 0
        for census in record.census:
            if census.at != "end" or trace.during(census.time - 1, census.time + 1) or not _closes(trace, census):
                continue
            looked += 1
            for session in census.sessions:
                if session.id in struck or not (session.xact or session.locks):
                    continue
                if _ended(trace, census, session.id):
                    what = f"is {session.state}" if session.xact else "holds locks"
                    return self.broken(f"after the request of {census.actor} its session {what}", census.step)
        if not looked:
            return self.unknown("no request ended while the server could be reached")
        return self.kept(f"{count(looked, 'request')} ended and left an idle session or none")


def _closes(trace: Trace, census: Census) -> bool:
    """Whether nothing is to be open after that end: Django was told of it, or the unit itself closes what it opens."""
    call = next((call for call in trace.calls if call.step == census.step and call.actor == census.actor), None)
    unit = next((each for each in trace.requests if call in each.calls), None)
    if call is None or call.told or unit is None:
        return True
    usual = (*ORDINARY, "fail")
    return not unit.never_left and all(each.f in usual for each in unit.calls)


def _ended(trace: Trace, census: Census, session: str) -> bool:
    """Whether the session is that of a request that has ended: no request in flight has it, or may have it."""
    before = [request for request in trace.requests if request.begin < census.time]
    running = [request for request in before if request.end > census.time]
    users = [request for request in before if session in request.sessions]
    if users and users[-1].calls[-1].f == "stop":
        return False  # its thread died before the request ended: bounded-sessions judges what that leaves behind
    if not running:
        return True
    # One that waits for a session may have been given that of a request which has ended.
    return bool(users) and users[-1] not in running and all(_has_one(request, census.time) for request in running)


def _has_one(request: Request, time: int) -> bool:
    """Whether the request has a session by then: it was seen to use one, and has closed nothing by hand since."""
    done = [call for call in request.calls if call.end < time and (call.session or call.f == "close")]
    return bool(done) and done[-1].f != "close"
