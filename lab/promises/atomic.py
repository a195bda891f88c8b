"""atomic: a transaction is stored whole or not at all, also when its session is lost half-way.

A backend that reconnects inside a block runs the rest of it on a session that knows nothing of the beginning, and
PostgreSQL answers a COMMIT outside any transaction with success and a warning. jruby/activerecord-jdbc-adapter PR 1216
describes that loss: COMMIT was retried after a reconnect. Stock Django has a milder form: an error that the application
swallows makes COMMIT a ROLLBACK, and nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import elapsed
from lab.judging.plan_parts import (
    FIN,
    LATE,
    LOSE_ANSWER,
    RST,
    STREAM,
    TERMINATE,
    TOLD_INSIDE,
    TWICE,
    inject,
    query,
    request,
)
from lab.judging.trace import Trace
from lab.judging.transactions import STREAM_LEFT, Unit
from lab.promise import Promise, promise
from lab.records.plan import (
    Autocommit,
    Close,
    Commit,
    Enter,
    Fail,
    Finish,
    Heal,
    Leave,
    Plan,
    Read,
    Sql,
    Step,
    Use,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

LONG = 10
"""A transaction with at least so many calls counts as long. The plan's has two more, and 122 statements."""


@promise
class Atomic(Promise):
    """At stake when a block that had written met a fault or a long time, was closed or erred inside, or was long."""

    id = "atomic"
    sentence = (
        "A transaction's effects are all there or none; no statement of a broken transaction runs on another session; "
        "a COMMIT never succeeds on a session that did not see the statements; if any statement of a block returned "
        "success, leaving the block makes all of them durable or raises, also when an error inside was swallowed."
    )
    of_django = (STREAM,)

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        for name, fault in (("FIN", FIN), ("RST", RST), ("terminated", TERMINATE)):
            between = request("t0", Enter("t0"), Write("t0"), fault, Write("t0"), Write("t0"), Leave("t0"))
            yield self.plan(variant, "between statements", *query("t0"), *between, *query("t0"), title=name)
            read = request("t0", Enter("t0"), Read("t0"), fault, Write("t0", swallow=True), Write("t0"), Leave("t0"))
            yield self.plan(variant, "after a read", *query("t0"), *read, *query("t0"), title=name)
            mid = request("t0", Enter("t0"), Write("t0"), Write("t0", hold="statement"), fault, Leave("t0"))
            yield self.plan(variant, "mid-query", *mid, *query("t0"), title=name)
            swallowed = (Write("t0", swallow=True), Write("t0", swallow=True))
            inside = request("t0", Enter("t0"), Write("t0"), fault, *swallowed, Leave("t0"))
            yield self.plan(variant, "error swallowed", *inside, *query("t0"), title=name)
            savepoint = (
                Enter("t0"),
                Write("t0"),
                fault,
                Write("t0", swallow=True),
                Leave("t0", "rollback"),
                Write("t0"),
            )
            nested = request("t0", Enter("t0"), Write("t0"), *savepoint, Leave("t0"))
            yield self.plan(variant, "in a savepoint", *nested, *query("t0"), title=name)
            released = (Enter("t0"), Write("t0"), Leave("t0"), fault, Write("t0", swallow=True), Write("t0"))
            nested = request("t0", Enter("t0"), Write("t0"), *released, Leave("t0"))
            yield self.plan(variant, "in a savepoint", *nested, *query("t0"), title=f"{name}, once it was released")
            unsent = request("t0", Enter("t0"), Write("t0"), Write("t0"), fault, Leave("t0"))
            yield self.plan(variant, "before COMMIT", *unsent, *query("t0"), title=name)
            held = request("t0", Enter("t0"), Write("t0"), Write("t0", hold="commit"), Leave("t0"), fault)
            yield self.plan(variant, "at COMMIT", *held, *query("t0"), title=name)
        lost = request("t0", Enter("t0"), Write("t0"), Write("t0"), LOSE_ANSWER, Leave("t0"))
        yield self.plan(variant, "at COMMIT, answer lost", *lost, Heal(), *query("t0"))
        cut = request(
            "t0", Enter("t0"), Write("t0"), LOSE_ANSWER, Write("t0", swallow=True), Heal(), Write("t0"), Leave("t0")
        )
        yield self.plan(variant, "error swallowed", *cut, *query("t0"), title="answer lost")
        off = (Autocommit("t0"), Write("t0"), FIN, Write("t0", swallow=True), Write("t0", swallow=True), Commit("t0"))
        yield self.plan(variant, "autocommit off", *query("t0"), *request("t0", *off), *query("t0"))
        restart = request("t0", Enter("t0"), Write("t0"), inject("restart"), Write("t0", swallow=True), Leave("t0"))
        yield self.plan(variant, "error swallowed", *restart, *query("t0"), title="restart")
        yield from self._conflicts(variant)
        yield from self._counted(variant)
        late = request("t0", Sql("t0", LATE), Enter("t0"), Write("t0"), Sql("t0", TWICE), Leave("t0"))
        yield self.plan(variant, "COMMIT refused", *late, *query("t0"))
        closed = request("t0", Enter("t0"), Write("t0"), Close("t0"), Write("t0", swallow=True), Leave("t0"))
        yield self.plan(variant, "close() inside", *closed, *query("t0"))
        # What a task that is done within a block tells Django, as close_old_connections() does: paperless-ngx #12699.
        for name, told in TOLD_INSIDE.items():
            goes_on = request("t0", Enter("t0"), Write("t0"), *told, Write("t0", swallow=True), Leave("t0"))
            yield self.plan(variant, "close() inside", *query("t0"), *goes_on, *query("t0"), title=name)
        ended = (Enter("t0"), Write("t0"), Finish("t0"), Leave("t0", "rollback"), Write("t0", swallow=True))
        nested = request("t0", Enter("t0"), Write("t0"), *ended, Leave("t0"))
        yield self.plan(variant, "close() inside", *query("t0"), *nested, *query("t0"), title="told of an end, nested")
        refused = request("t0", Enter("t0"), Write("t0"), Fail("t0", swallow=True), Leave("t0"))
        yield self.plan(variant, "statement error swallowed", *refused, *query("t0"))
        yield from self._stream(variant)
        inner = (Enter("t0"), Write("t0"), Fail("t0"), Leave("t0"))
        yield self.plan(variant, "statement error in a savepoint", *request("t0", Enter("t0"), *inner), *query("t0"))
        undone = (Enter("t0"), Write("t0"), Fail("t0", swallow=True), Leave("t0", "rollback"))
        goes_on = request("t0", Enter("t0"), Write("t0"), *undone, Write("t0"), Leave("t0"))
        yield self.plan(variant, "statement error in a savepoint", *goes_on, *query("t0"), title="it goes on")
        yield from elapsed.in_block(self, variant)

    def _conflicts(self, variant: Variant) -> Iterator[Plan]:
        """A statement of which a backend may believe that to send it again is enough."""
        again = request("t0", Enter("t0"), Write("t0"), Fail("t0", "serialization"), Write("t0"), Leave("t0"))
        yield self.plan(variant, "a serialization failure", *again, *query("t0"))
        again = request("t0", Enter("t0"), Write("t0"), Fail("t0", "deadlock"), Write("t0"), Leave("t0"))
        yield self.plan(variant, "a deadlock", *again, *query("t0"))

    def _counted(self, variant: Variant) -> Iterator[Plan]:
        """What is counted by the statement, and renewed by that, has 120 of them in one transaction."""
        many: tuple[Step, ...] = (Write("t0"), *(Use("t0", "repeat"),) * LONG, Write("t0"))
        off = request("t0", Autocommit("t0"), *many, Commit("t0"), Autocommit("t0", on=True))
        yield self.plan(variant, "autocommit off", *off * 2, *query("t0"), title="many statements")

    def _stream(self, variant: Variant) -> Iterator[Plan]:
        """Psycopg cancels the statement without telling, so that the server has aborted the transaction."""
        if variant.driver == "psycopg":
            left = request("t0", Enter("t0"), Write("t0"), Use("t0", STREAM_LEFT), Leave("t0"))
            yield self.plan(variant, STREAM, *left, *query("t0"))

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        units = [unit for unit in trace.units if unit.kind in ("atomic", "manual") and not unit.vague and _served(unit)]
        for unit in units:
            if fault := _fault(trace, unit):
                return self.broken(fault, (unit.closer or unit.calls[-1]).step)
        at_stake = [
            unit
            for unit in units
            if trace.during(unit.begin, unit.end)
            or trace.time_passed(unit.begin, unit.end)
            or unit.closed_inside
            or unit.swallowed
            or _erred(unit)
        ]
        if at_stake:
            return self.kept(f"{count(len(at_stake), 'transaction')} met a fault and none was torn")
        if long := [unit for unit in units if len(unit.calls) >= LONG]:
            return self.kept(f"{count(len(long), 'transaction')} had many statements and none was torn")
        return self.unknown("no transaction met a fault, and none was long")


def _served(unit: Unit) -> bool:
    return any(call.ending == "ok" and call.f in ("read", "write") for call in unit.calls)


def _erred(unit: Unit) -> bool:
    return any(call.failed for call in unit.calls)


def _fault(trace: Trace, unit: Unit) -> str:
    """What is wrong with one transaction, "" when nothing is."""
    what = "block" if unit.kind == "atomic" else "transaction"
    wanted = [token for token in unit.written if not token.undone]
    there = [token for token in wanted if trace.present.get(token.name)]
    sessions = {call.session for call in unit.calls if call.session}
    if len(sessions) > 1:
        return f"the statements of one {what} ran on {len(sessions)} sessions"
    if len({token.call.value.get("xid") for token in unit.written}) > 1:
        return f"the writes of one {what} belong to different transactions"
    if 0 < len(there) < len(wanted):
        return f"{len(there)} of the {len(wanted)} writes of one {what} are there"
    if unit.outcome == "acked" and wanted and not there:
        return f"the {what} ended without an error and none of its {len(wanted)} writes is there"
    failed = [token for token in unit.tokens if token.call.ending == "info" and not token.undone]
    if wanted and not there and any(trace.present.get(token.name) for token in failed):
        return "a write that raised is there and those before it are not"
    return ""
