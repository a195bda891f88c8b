"""keeps-healthy: a refused statement says nothing against the session on which it was sent.

A unique violation or a statement_timeout is everyday. A backend that throws its session away each time pays a connect
for each, and a form that users fill in wrongly becomes a storm of connects.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.calls import FOREVER, SERVED, Call, Request
from lab.judging.lifetime import WORN, worn
from lab.judging.plan_parts import LATE, NOTHING_KEPT, TWICE, autocommit_off, keeps, kept_nothing, query, request
from lab.judging.session_state import LEAVE
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Autocommit, Enter, Fail, FailCause, Leave, Plan, Read, Rollback, Set, Sql, Step, Use, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

CAUSES: tuple[FailCause, ...] = ("unique", "statement_timeout")
LEFT = tuple(text for text, _, _ in LEAVE.values())


@promise
class KeepsHealthy(Promise):
    """At stake when the server refused a statement of a request that had a session, and the request then ended.

    Whether the session lives is asked of the server. A request that closes by hand, leaves a block open, leaves
    autocommit as the settings do not have it, or something else that would have to be undone, gives another reason to
    part with its session.
    """

    id = "keeps-healthy"
    sentence = "A statement-level error (constraint, statement_timeout) does not cost the session."

    def not_applicable(self, variant: Variant, traits: Traits) -> str:
        return "" if keeps(variant, traits) else NOTHING_KEPT

    def seen_not_to_apply(self, record: Record) -> str:
        return kept_nothing(record)

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        off = autocommit_off(variant)
        read = Read("t0")
        late = (read, Sql("t0", LATE), Enter("t0"), Sql("t0", TWICE), Leave("t0"))
        yield self.plan(variant, "unique, at COMMIT", *request("t0", *late), *query("t0"))
        of_locks: tuple[FailCause, ...] = ("lock", "deadlock")
        for why in of_locks:
            refused = (Fail("t0", why, swallow=True), Enter("t0"), Write("t0"), Fail("t0", why))
            yield self.plan(variant, why, *request("t0", read, *refused), *query("t0"))
        many, fetched = Fail("t0", "unique", by="many"), Fail("t0", "statement_timeout", by="fetch")
        yield self.plan(variant, "unique, by executemany()", *request("t0", read, many), *query("t0"))
        of_cursor = request("t0", read, Enter("t0"), fetched)
        yield self.plan(variant, "statement_timeout, while fetching", *of_cursor, *query("t0"))
        for why in CAUSES:
            fail, swallowed = Fail("t0", why), Fail("t0", why, swallow=True)
            forms: dict[str, tuple[Step, ...]] = {
                "autocommit": (read, fail),
                "autocommit, error swallowed": (read, swallowed, read),
                "in atomic()": (read, Enter("t0"), Write("t0"), fail),
                "in atomic(), error swallowed": (read, Enter("t0"), Write("t0"), swallowed, Leave("t0")),
                "in a savepoint": (read, Enter("t0"), Enter("t0"), swallowed, Leave("t0", "rollback"), Leave("t0")),
                "set_autocommit(False)": (
                    *(read, Autocommit("t0"), Write("t0"), swallowed),
                    *(Rollback("t0"), Autocommit("t0", on=True)),
                ),
            }
            for form, steps in forms.items():
                yield self.plan(variant, f"{why}, {form}", *request("t0", *steps), *query("t0"))
            manual: dict[str, tuple[Step, ...]] = {"AUTOCOMMIT=False": (read, Write("t0"), fail)}
            manual["AUTOCOMMIT=False, then rollback()"] = (read, Write("t0"), swallowed, Rollback("t0"), read)
            for form, steps in manual.items():
                yield self.plan(off, f"{why}, {form}", *request("t0", *steps), *query("t0"))

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        if trace.time_passed(0, FOREVER):
            return self.unknown("time passed, by which sessions may have been renewed")
        looked = 0
        of_itself = False
        for each in trace.requests:
            refused = [call for call in each.calls if call.meant or _refused_at_commit(call)]
            if not refused or not each.sessions or not _tidy(each) or trace.during(each.begin, each.end):
                continue
            gone = _gone(record, each)
            if gone is None:
                continue
            if gone and all(worn(trace, session, each.end) for session in gone):
                of_itself = True
                continue
            looked += 1
            # Only what came before excuses it: one error may make a backend part with every later session.
            before = [other for other in trace.requests if other.begin < each.begin and _uneventful(trace, other)]
            if gone and any(_gone(record, other) for other in before):
                return self.none("a session had ended with a request without any error before")
            if gone:
                cost = count(len(gone), "session")
                what = f"an error of one statement cost {each.actor} {cost}"
                return self.broken(what, refused[0].step, by_chance=True)
        if not looked and of_itself:
            return self.unknown(WORN)
        if not looked:
            return self.unknown("no statement was refused in a request that then ended")
        return self.kept(f"{count(looked, 'request')} with an error of one statement: each time the session lived on")


def _gone(record: Record, request: Request) -> set[str] | None:
    """The request's sessions that were not there any more when it had ended; None where nobody looked."""
    last = request.calls[-1].step
    census = next((each for each in record.census if each.at == "end" and each.step == last), None)
    return None if census is None else set(request.sessions) - {session.id for session in census.sessions}


def _uneventful(trace: Trace, request: Request) -> bool:
    """Whether there is no reason at all in the request to part with its session."""
    return request.ordinary and not request.errors and _tidy(request) and not trace.during(request.begin, request.end)


def _refused_at_commit(call: Call) -> bool:
    """Whether it was COMMIT that violated a constraint (class 23)."""
    return call.f in ("leave", "commit") and any(cause.sqlstate.startswith("23") for cause in call.chain)


def _tidy(request: Request) -> bool:
    """Whether nothing but the error could be a reason to part with the session."""
    left_off = False
    for call in request.calls:
        if call.f == "close" or (call.failed and not call.meant and call.f not in ("leave", "end")):
            return False
        if _leaves_something(call):
            return False
        if isinstance(call.plan, Autocommit) and call.ending == "ok":
            left_off = not call.plan.on
    return request.calls[-1].f == "end" and not left_off and not request.never_left


def _leaves_something(call: Call) -> bool:
    """Whether it leaves what would have to be undone: state, a transaction begun by hand, a cursor, a driver's mark."""
    if isinstance(call.plan, Sql):
        return call.plan.text in LEFT or call.plan.text.upper().startswith(("BEGIN", "START TRANSACTION"))
    return isinstance(call.plan, Set) or (isinstance(call.plan, Use) and call.plan.how not in SERVED)
