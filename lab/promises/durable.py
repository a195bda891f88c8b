"""durable: what the application was told is stored must be there after any fault.

The acknowledgement is the statement's return in autocommit, leaving the block, or commit(). A COMMIT that a retry has
sent on a fresh session succeeds and stores nothing; close() inside a block of stock Django ends without an error and
without the rows; `synchronous_commit = off` loses the last moments in a crash.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import loss
from lab.judging.plan_parts import FIN, RST, STREAM, TERMINATE, TOLD_INSIDE, commits_at_close, inject, query, request
from lab.judging.trace import Trace
from lab.judging.transactions import Unit
from lab.promise import Promise, promise
from lab.records.plan import Autocommit, Close, Commit, Enter, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count


def acknowledged(unit: Unit, close_commits: bool) -> bool:
    """Whether the application was told that the unit's work is done.

    A close() that returned with work pending tells so only where close() is said to commit.
    """
    return unit.outcome == "acked" or (unit.outcome == "closed" and close_commits)


def _how(unit: Unit) -> str:
    """By what the application was told that the work is done, and what came before."""
    assert unit.closer is not None
    told = {"autocommit": "by the statement", "atomic": "by leaving atomic()"}.get(unit.kind, f"by {unit.closer.f}()")
    if unit.closer.f == "end":
        told = "by the end of the request"
    if unit.closed_inside:
        return f"{told} after a close() inside"
    return f"{told} after an error that was swallowed" if unit.swallowed else told


@promise
class Durable(Promise):
    """At stake when a write was acknowledged and a fault struck afterwards, or its block was closed inside."""

    id = "durable"
    sentence = "An acknowledged write is there after heal, restart and crash."
    of_django = (STREAM,)

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        autocommit = (Write("t0"),)
        atomic = (Enter("t0"), Write("t0"), Write("t0"), Leave("t0"))
        commit = (Autocommit("t0"), Write("t0"), Write("t0"), Commit("t0"), Autocommit("t0", on=True))
        for name, steps in (("autocommit", autocommit), ("atomic", atomic), ("autocommit off, commit()", commit)):
            yield self.plan(variant, f"{name}, then FIN", *request("t0", *steps, FIN), *query("t0"))
            yield self.plan(variant, f"{name}, then RST", *request("t0", *steps, RST), *query("t0"))
            yield self.plan(variant, f"{name}, then terminated", *request("t0", *steps, TERMINATE), *query("t0"))
            later = request("t0", Read("t0"), *steps, TERMINATE)
            yield self.plan(
                variant, f"{name}, then terminated", *query("t0"), *later, *query("t0"), title="kept session"
            )
            yield self.plan(variant, f"{name}, then crash", *request("t0", *steps, inject("crash")), *query("t0"))
        many = Write("t0", by="many")
        yield self.plan(
            variant,
            "atomic, then crash",
            *request("t0", Enter("t0"), many, Leave("t0"), many, inject("crash")),
            *query("t0"),
            title="executemany()",
        )
        restart = inject("restart", mode="fast")
        yield self.plan(variant, "atomic, then restart", *request("t0", *atomic, restart), *query("t0"))
        kept = (*query("t0"), *request("t0", *autocommit, inject("restart", mode="immediate")), *query("t0"))
        yield self.plan(variant, "autocommit, then restart", *kept)
        inside = request("t0", Enter("t0"), Write("t0"), Close("t0"), Leave("t0"))
        yield self.plan(variant, "close() inside atomic", *inside, *query("t0"))
        for name, told in TOLD_INSIDE.items():
            inside = request("t0", Enter("t0"), Write("t0"), *told, Leave("t0"))
            yield self.plan(variant, "close() inside atomic", *query("t0"), *inside, *query("t0"), title=name)
        swallowed = request("t0", Enter("t0"), Write("t0"), TERMINATE, Write("t0", swallow=True), Leave("t0"))
        yield self.plan(variant, "atomic, error swallowed", *swallowed, *query("t0"))
        yield from loss.durable(self, variant)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        commits = commits_at_close(record.plan.variant, record.traits)
        units = [unit for unit in trace.units if unit.written]
        told = [unit for unit in units if acknowledged(unit, commits)]
        for unit in told:
            lost = [token for token in unit.written if not token.undone and not trace.present.get(token.name)]
            if lost:
                what = f"{len(lost)} of {len(unit.written)} writes were acknowledged {_how(unit)} and are gone"
                return self.broken(what, lost[0].call.step)
        struck = max((landing.at for landing in trace.landed), default=-1)
        raised = [unit for unit in units if unit not in told and unit.closer and (unit.closed_inside or unit.swallowed)]
        if not raised and not any(unit.end < struck or unit.closed_inside or unit.swallowed for unit in told):
            return self.unknown("nothing was acknowledged before a fault struck")
        if raised and not told:
            return self.kept("the block that could not be made durable was not acknowledged")
        return self.kept(f"{count(sum(len(unit.written) for unit in told), 'acknowledged write')} found at the end")
