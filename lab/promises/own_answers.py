"""own-answers: an answer that comes late must not be taken for the answer to the next question.

When a call is given up between its question and its answer, the answer stays on the socket. The next call, perhaps of
another user, then reads it, and all later calls are one behind: redis-py #2665, known from an outage in which users saw
other users' data.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.calls import Call
from lab.judging.plan_parts import FIN, RST, TERMINATE, after_heal, inject, query, request, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Begin, End, Enter, Fail, Fork, Heal, Leave, Plan, Read, Sql, Use, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

QUICK = "SET statement_timeout = 20"
CANCELLED = "57014"
SLOW = "SELECT pg_sleep(0.5)"


@promise
class OwnAnswers(Promise):
    """At stake when an answer was late, refused or lost, and queries were answered afterwards."""

    id = "own-answers"
    sentence = "Every query gets its own answer (nonce), after cancel, stall, timeout and reconnect too."

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        more = (Read("t0"), Write("t0"), Read("t0"))
        after = (Heal(), *query("t0"), *after_heal("t0"))
        cancelled = request("t0", Read("t0"), Fail("t0", "statement_timeout", swallow=True), *more)
        yield self.plan(variant, "after cancel", *cancelled, *after)
        inside = (Enter("t0"), Enter("t0"), Fail("t0", "statement_timeout"), Leave("t0"), Leave("t0"))
        yield self.plan(variant, "after cancel", *request("t0", Read("t0"), *inside), *after, title="in atomic")
        timeout = request(
            "t0", Sql("t0", QUICK), Sql("t0", SLOW, swallow=True), *more, Sql("t0", "RESET statement_timeout")
        )
        yield self.plan(variant, "after timeout", *timeout, *after)
        signal = request("t0", Read("t0"), Read("t0", hold=True, swallow=True), inject("interrupt"), *more)
        yield self.plan(variant, "after interrupt", *signal, *after)
        slow = Use("t0", "slow")
        late = (*request("t0", slow), *request("t0", Read("t0", hold=True, swallow=True), inject("interrupt"), slow))
        yield self.plan(variant, "after interrupt, a cancel that comes late", *late, *after)
        for moment in ("row+0", "command-complete+0", "ready+0", "query-sent+0"):
            held = inject("hold", moment=moment)
            late = request("t0", Read("t0"), held, Read("t0", swallow=True), Heal(), *more)
            yield self.plan(variant, "after stall", *late, *after, title=moment)
        for moment in ("row+0", "row+7", "command-complete+0", "ready+0"):
            dropped = inject("drop-reply", moment=moment)
            lost = request("t0", Read("t0"), dropped, Read("t0", swallow=True), Heal(), *more)
            yield self.plan(variant, "after reconnect", *lost, *after, title=f"no answer from {moment}")
        for name, fault in (("FIN", FIN), ("RST", RST), ("terminated", TERMINATE)):
            held_query = request("t0", Read("t0"), Read("t0", hold=True, swallow=True), fault, *more)
            yield self.plan(variant, "after reconnect", *held_query, *after, title=name)
        pieces = inject("split", moment="startup+0")
        yield self.plan(variant, "in pieces", pieces, *request("t0", *more), *after)
        if several(variant):
            both = (Begin("t0"), Begin("t1"), Read("t0"), Read("t1"), FIN, Read("t0", swallow=True), Read("t1"))
            ends = (Read("t0"), End("t0"), End("t1"))
            yield self.plan(variant, "after reconnect", *both, *ends, *after, *query("t1"), title="two actors")

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        if any(isinstance(step, Fork) for step in record.plan.steps):
            return self.unknown("a process was forked: fork-safe judges whose answer is whose")
        asked = [call for call in trace.calls if call.ending == "ok" and call.f in ("read", "write")]
        for call in asked:
            got = call.value.get("nonce" if call.f == "read" else "token", "")
            if ("nonce" in call.value or "token" in call.value) and got != f"{record.run}:{call.step}":
                return self.broken(f"a {call.f} got the answer to another question", call.step)
        if (met := _cancelled(trace)) is not None:
            return self.broken("a cancel that was meant for an earlier statement has met another one", met.step)
        since = min((call.end for call in trace.calls if _disturbed(trace, call)), default=None)
        later = [call for call in asked if since is not None and call.begin >= since]
        if not later:
            return self.unknown("no query was answered after one whose answer was late, refused or lost")
        return self.kept(f"{count(len(later), 'answer')} after that, each the question's own")


def _cancelled(trace: Trace) -> Call | None:
    """A statement that the server cancelled, though one that takes as long had been served before all disturbance."""
    slow = [call for call in trace.calls if getattr(call.plan, "how", "") == "slow"]
    first = min((call.begin for call in trace.calls if _disturbed(trace, call)), default=0)
    if not any(call.ending == "ok" and call.end < first for call in slow):
        return None
    told = ((call, cause) for call in slow for cause in call.chain)
    return next((call for call, cause in told if cause.sqlstate == CANCELLED), None)


def _disturbed(trace: Trace, call: Call) -> bool:
    """Whether its answer was late, refused or lost."""
    if call.f not in ("read", "write", "sql", "fail"):
        return False
    return call.failed or any(call.begin <= landing.at <= call.end for landing in trace.landed)
