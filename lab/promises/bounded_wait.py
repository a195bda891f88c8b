"""bounded-wait."""

from __future__ import annotations

from collections.abc import Iterator

from lab.promise import Promise, promise
from lab.promises.phrase import inject, keeps, query, request
from lab.records.plan import Enter, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.trace import Call, Trace


@promise
class BoundedWait(Promise):
    """At stake when a call was under way while the server was silent (black hole, stall, frozen session)."""

    id = "bounded-wait"
    sentence = (
        "Every call returns or raises within the bound: checkout, check, back-off, query, COMMIT, return and close."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        hole = inject("black-hole")
        yield self.plan(variant, "connect", hole, *query("t0"))
        if keeps(variant, traits):
            yield self.plan(variant, "checkout", *query("t0"), hole, *query("t0"))
        yield self.plan(variant, "query", *request("t0", Read("t0"), hole, Read("t0")))
        yield self.plan(
            variant, "query", *request("t0", Read("t0"), inject("freeze"), Read("t0")), title="frozen session"
        )
        yield self.plan(variant, "COMMIT", *request("t0", Enter("t0"), Write("t0"), hole, Leave("t0")))
        back = request("t0", Enter("t0"), Write("t0"), Leave("t0"), hole)
        yield self.plan(variant, "return", *back)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        bound = record.plan.variant.bound or record.plan.bound
        held = {event.step for event in record.events if event.f == "blocked" and event.where == "server"}
        calls = [call for call in trace.calls if call.step not in held]
        for call in calls:
            if call.hung or call.seconds > bound:
                took = "had not returned" if call.hung else "returned"
                return self.broken(f"{call.f} {took} after {bound:g} s", call.step)
        if not any(_waited(trace, call) for call in calls):
            return self.unknown("no call had to wait for a silent server")
        return self.kept(f"every call returned within {bound:g} s")


SILENT = ("black-hole", "stall", "freeze")


def _waited(trace: Trace, call: Call) -> bool:
    """Whether the call was made to a server that was silent: it ended in an error, or it only had to let go."""
    silent = any(landing.kind in SILENT for landing in trace.during(call.begin, call.end))
    return silent and (call.failed or call.f in ("end", "close"))
