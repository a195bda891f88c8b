"""whole-answers: a result of which the end is missing must be an error, because nobody can see that rows are missing.

Rows arrive in pieces: chunks of a server-side cursor, lines of a COPY, messages of one result. Code that takes the end
of a connection for the end of the rows exports half a table. A consumer of notifications whose session was replaced in
silence waits for ever on a channel to which nothing listens.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.calls import Call
from lab.judging.plan_parts import FIN, TERMINATE, inject, query, request
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import NEWS, Enter, FaultSpec, Heal, Inject, Leave, Plan, Read, Sql, Step, Use, UseName
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

COPIED = 200
"""Rows of one `copy-in`."""
READS: tuple[tuple[str, UseName, str], ...] = (
    ("many rows at once", "read-many", "row:3000+0"),
    ("iterator()", "iterator", "row:250+0"),
    ("a stream of rows", "stream", "row:250+0"),
    ("COPY out", "copy-out", "copy-data:3000+0"),
)
"""Moment, how it is read, and the message before which the connection ends."""


@promise
class WholeAnswers(Promise):
    """At stake when a fault met a call that reads or copies many rows, or a consumer of notifications listened on.

    And when a block was committed in which a COPY had returned.
    """

    id = "whole-answers"
    sentence = (
        "A result that was cut is an error, never shorter; COPY that returned is there in full; a consumer of "
        "notifications whose session was replaced learns of it."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        after = query("t0")
        for moment, how, at in READS:
            if how == "stream" and variant.driver != "psycopg":
                continue
            cut = inject("cut-fin", moment=at)
            yield self.plan(variant, moment, *request("t0", Read("t0"), cut, Use("t0", how)), Heal(), *after)
        inside = (Enter("t0"), Read("t0"), inject("cut-fin", moment="row:250+0"), Use("t0", "iterator"), Leave("t0"))
        yield self.plan(variant, "iterator()", *request("t0", *inside), Heal(), *after, title="in atomic()")
        for name, at in (
            ("data sent", "copy-data"),
            ("all sent", "copy-done"),
            ("answer lost", "command-complete+0"),
        ):
            cut = inject("cut-fin", moment=at)
            copy = request("t0", Read("t0"), cut, Use("t0", "copy-in"))
            yield self.plan(variant, "COPY in", *copy, Heal(), *after, title=name)
        alone = request("t0", Enter("t0"), Use("t0", "copy-in"), Leave("t0"))
        yield self.plan(variant, "COPY in", *query("t0"), *alone, *after, title="alone in a block that is committed")
        for name, fault in (("terminated", TERMINATE), ("FIN", FIN)):
            generated = request("t0", Use("t0", "rows"), fault, Use("t0", "rest-of-rows"))
            yield self.plan(variant, "a generated response", *generated, *after, title=name)
        news = Sql("t0", NEWS, alias="twin")
        heard = Use("t0", "heard", swallow=True)
        ended = Inject(FaultSpec("terminate"), alias="default")
        # After its session has ended the consumer goes on, as after a passing error, and then there is news again.
        begun = (Use("t0", "listen"), Read("t0", alias="twin"), news, heard)
        steps: tuple[Step, ...] = (*begun, ended, Read("t0", swallow=True), news, heard)
        yield self.plan(variant, "a consumer in a request", *request("t0", *steps), *after)
        gap: tuple[Step, ...] = (*begun, ended, news, Read("t0", swallow=True), heard)
        title = "the news comes before the next statement"
        yield self.plan(variant, "a consumer in a request", *request("t0", *gap), *after, title=title)
        yield self.plan(variant, "a consumer in a command", *steps)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        used = [call for call in trace.calls if call.f == "use"]
        met = 0
        told: set[str] = set()  # consumers that have heard of the loss of their session
        for call in trace.calls:
            if call.failed and not call.meant:
                told.add(call.actor)
            if call not in used:
                continue
            how = getattr(call.plan, "how", "")
            if call.ending == "ok" and (fault := _short(trace, call, how, told)):
                return self.broken(fault, call.step)
            met += bool(trace.during(call.begin, call.end)) or _after_loss(trace, call, how)
            met += how == "copy-in" and _committed(trace, call)
        if not met:
            return self.unknown("no fault met a call that reads or copies many rows, nor a consumer of notifications")
        at_stake = f"{count(met, 'use')} met a fault, or was a COPY in a block that is committed"
        return self.kept(f"{at_stake}: none gave less than all without an error")


def _short(trace: Trace, call: Call, how: str, told: set[str]) -> str:
    """What a call that returned has kept to itself, "" when nothing."""
    if how == "heard":
        lost = not call.value.get("whole") and call.actor not in told
        return "a consumer's session was replaced, it was told of no error, and a notification is lost" if lost else ""
    if not call.value.get("whole"):
        return f"{how} returned, and not all was there"
    there = trace.present.get(f"{trace.record.run}:{call.step}", 0)
    in_block = bool(call.value.get("in_atomic"))
    if how == "copy-in" and there != COPIED and (not in_block or _committed(trace, call)):
        return f"COPY returned, and {there} of {COPIED} rows are there"
    return ""


def _committed(trace: Trace, call: Call) -> bool:
    """Whether the application was told that the block of a COPY is committed, and nothing in it was rolled back."""
    unit = next((unit for unit in trace.units if call in unit.calls), None)
    if unit is None or unit.outcome != "acked":
        return False
    back = any(isinstance(each.plan, Leave) and each.plan.outcome == "rollback" for each in unit.calls)
    return not (back or unit.vague or unit.swallowed or unit.closed_inside or unit.doomed)


def _after_loss(trace: Trace, call: Call, how: str) -> bool:
    return how in ("heard", "rest-of-rows") and any(landing.time < call.begin for landing in trace.landed)
