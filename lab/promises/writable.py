"""writable: after a failover, sessions to the old primary still work, and refuse every write.

The server is alive, so that no health check that only asks for an answer finds anything: HikariCP #1802 (a read-only
connection from the pool after a failover). The error 25006 itself is the only sign, and must cost the session.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.calls import Call, Request
from lab.judging.plan_parts import at_once, block, inject, query, request, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Autocommit, Enter, Heal, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

READ_ONLY = inject("read-only")
REFUSED = "25006"
"""read_only_sql_transaction, the answer to a write on a session that a failover has left at the old primary."""


@promise
class Writable(Promise):
    """At stake when a request got "read-only" (25006) from a server that had turned so, and the next one asked."""

    id = "writable"
    sentence = (
        'After the first "read-only" error (25006, failover) the next request runs on a new session while the server '
        "takes no writes, and works once it does."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        write, read = (Write("t0"),), (Read("t0"),)
        inside = (Enter("t0"), *read, *write, Leave("t0"))
        off = (Autocommit("t0"), *read, *write)
        swallowed = (*read, Write("t0", swallow=True), *read)
        nested = (Enter("t0"), *read, Enter("t0"), Write("t0", swallow=True), Leave("t0", "rollback"), Leave("t0"))
        for moment, steps in (
            ("autocommit", (*read, *write)),
            ("in atomic()", inside),
            ("autocommit off", off),
            ("error swallowed", swallowed),
            ("error swallowed in a savepoint", nested),
        ):
            first = (*query("t0"), READ_ONLY, *request("t0", *steps))
            still = (*first, *query("t0"), *request("t0", Write("t0", swallow=True)), *query("t0"), Heal())
            yield self.plan(variant, moment, *still, *query("t0"), *block("t0"), title="still read-only")
            yield self.plan(variant, moment, *first, Heal(), *query("t0"), *block("t0"))
        if several(variant):
            other = request("t1", Write("t1", swallow=True))
            idle = (*at_once("t0", "t1"), READ_ONLY, *request("t0", *swallowed), *other, *at_once("t0", "t1"))
            yield self.plan(variant, "several sessions", *idle, Heal(), *block("t0"), *block("t1"))
            # The other sessions wait, and none of them has met the error yet.
            one = (*at_once("t0", "t1"), READ_ONLY, *request("t0", *swallowed), *query("t0"), Heal())
            title = "one of them has met the error"
            yield self.plan(variant, "several sessions", *one, *block("t0"), *block("t1"), title=title)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        fault = next((landing for landing in trace.landed if landing.kind == "read-only"), None)
        if fault is None:
            return self.unknown("the server did not turn read-only")
        looked = 0
        for place, each in enumerate(trace.requests):
            error = next((call for call in each.calls if call.end > fault.time and _read_only(call)), None)
            if error is None:
                continue
            following = _next(trace.requests[place + 1 :], each)
            if following is None:
                continue
            looked += 1
            if following.begin >= fault.healed > 0:  # the server takes writes: which session it is does not matter
                if again := next((call for call in following.calls if _read_only(call)), None):
                    return self.broken(f"a request of {each.actor} is refused as read-only after the heal", again.step)
                continue
            known = {session for other in trace.requests[: place + 1] for session in other.sessions}
            known |= {s.id for census in record.census if census.time <= error.end for s in census.sessions}
            if stayed := [call for call in following.calls if call.session in known]:
                return self.broken(
                    f"after the error 25006 the next request of {each.actor} ran on a session from before it",
                    stayed[0].step,
                )
        if not looked:
            return self.unknown("no request asked for anything after one that got the error 25006")
        after = f"{count(looked, 'request')} after the error 25006"
        return self.kept(f"{after} had a new session, or a server that takes writes")


def _read_only(call: Call) -> bool:
    return any(cause.sqlstate == REFUSED for cause in call.chain)


def _next(later: list[Request], each: Request) -> Request | None:
    """The actor's next request that was answered on a session."""
    return next((other for other in later if other.actor == each.actor and other.sessions), None)
