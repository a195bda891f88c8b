"""aborts-cleanly: a transaction that the application gave up must not be committed by a clean-up.

A backend that keeps its session has to end what a request left open. One that ends it with COMMIT
stores writes of a view that raised: an order without its payment. The close() of the published snippet is a commit(),
also inside a block.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import earlier
from lab.judging.plan_parts import FIN, TERMINATE, TOLD_INSIDE, on, query, request, several
from lab.judging.trace import Trace
from lab.judging.transactions import Token, Unit
from lab.promise import Promise, promise
from lab.records.plan import Autocommit, Begin, Close, Enter, Fail, Leave, Plan, Read, Rollback, Stop, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count


@promise
class AbortsCleanly(Promise):
    """At stake when a block that had written was rolled back, left with an error, or never left."""

    id = "aborts-cleanly"
    sentence = (
        "What the application rolled back leaves no trace, also when close() is called inside atomic, "
        "or request_finished fires there."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        wrote = (Enter("t0"), Write("t0"))
        rolled = request("t0", *wrote, Write("t0"), Leave("t0", "rollback"))
        yield self.plan(variant, "left with an exception", *rolled, *query("t0"))
        yield self.plan(variant, "left with an exception", *query("t0"), *rolled, *query("t0"), title="kept session")
        error = request("t0", *wrote, Fail("t0"))
        yield self.plan(variant, "left with a statement's error", *error, *query("t0"))
        goes_on = (Fail("t0", swallow=True), Write("t0", swallow=True), Leave("t0", "rollback"))
        yield self.plan(variant, "an error swallowed, then rolled back", *request("t0", *wrote, *goes_on), *query("t0"))
        savepoint = request("t0", *wrote, Enter("t0"), Write("t0"), Leave("t0", "rollback"), Write("t0"), Leave("t0"))
        yield self.plan(variant, "a savepoint rolled back", *savepoint, *query("t0"))
        inner = (Enter("t0"), Write("t0"), Leave("t0", "rollback"), Write("t0"))
        nested = request("t0", *wrote, Enter("t0"), Write("t0"), *inner, Leave("t0"), Leave("t0"))
        yield self.plan(variant, "a savepoint rolled back", *nested, *query("t0"), title="in another one")
        idle = (Enter("t0"), Enter("t0"), Write("t0"), Leave("t0"), Leave("t0", "rollback"))
        around = request("t0", *wrote, *idle, Write("t0"), Leave("t0")) + request("t0", Enter("t0"), *idle, Leave("t0"))
        yield self.plan(variant, "a savepoint rolled back", *around, *query("t0"), title="around one that wrote")
        unmarked = (Enter("t0", savepoint=False), Write("t0"), Leave("t0", "rollback"))
        undone = (*request("t0", *wrote, *unmarked, Leave("t0")), *query("t0"))
        yield self.plan(variant, "left with an exception", *undone, title="an inner one, no savepoint")
        beside = on("kin", Enter("t0"), Write("t0"), Leave("t0", "rollback"))
        both = (Read("t0"), *on("kin", Read("t0")), *wrote, *beside, Write("t0"), Leave("t0"))
        both = request("t0", *both, Write("t0"), *on("kin", Write("t0")))  # in autocommit again, each of them
        yield self.plan(variant, "left with an exception", *both * 2, *query("t0"), title="within another alias's")
        manual = request("t0", Autocommit("t0"), Write("t0"), Rollback("t0"), Autocommit("t0", on=True))
        yield self.plan(variant, "rollback() by hand", *manual, *query("t0"))
        closed = request("t0", *wrote, Close("t0"), Leave("t0", "rollback"))
        yield self.plan(variant, "close() inside, left later", *closed, *query("t0"))
        for name, told in TOLD_INSIDE.items():
            later = request("t0", *wrote, *told, Write("t0", swallow=True), Leave("t0", "rollback"))
            yield self.plan(variant, "close() inside, left later", *query("t0"), *later, *query("t0"), title=name)
        yield self.plan(variant, "close() inside, never left", *request("t0", *wrote, Close("t0")), *query("t0"))
        yield self.plan(variant, "never left", *request("t0", *wrote), *query("t0"))
        yield self.plan(variant, "never left", *query("t0"), *request("t0", *wrote), *query("t0"), title="kept session")
        if several(variant):
            ends = (Begin("t1"), Enter("t1"), Write("t1"), Stop("t1"))
            yield self.plan(variant, "never left", *query("t0"), *ends, *query("t0"), title="the thread ends")
        for name, fault in (("FIN", FIN), ("terminated", TERMINATE)):
            struck = request("t0", *wrote, fault, Leave("t0", "rollback"))
            yield self.plan(variant, "ROLLBACK cannot be sent", *struck, *query("t0"), title=name)
        yield from earlier.plans(self, variant)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        gone = [(unit, token) for unit in trace.units for token in unit.written if _rolled_back(unit, token)]
        for unit, token in gone:
            if trace.present.get(token.name):
                how = "a close() inside" if unit.closed_inside else f"{(unit.closer or token.call).f}"
                return self.broken(f"a write that the application rolled back is there (after {how})", token.call.step)
        if not gone:
            return self.unknown("nothing that was written was rolled back")
        return self.kept(f"{count(len(gone), 'write')} that the application rolled back left no trace")


def _rolled_back(unit: Unit, token: Token) -> bool:
    """Whether the application undid the write, for certain."""
    return unit.outcome == "aborted" or (token.undone and unit.outcome in ("acked", "aborted"))
