"""replaces-stale: a session that died while it was idle must be replaced before a request gets an error from it.

Firewalls, load balancers, idle_session_timeout and each restart of the server end idle sessions. The first sign of it
is the error of the next query, which is why Django has CONN_HEALTH_CHECKS.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import earlier, elapsed, lifecycles
from lab.judging.calls import Request
from lab.judging.plan_parts import (
    NOTHING_KEPT,
    ROTATE,
    SEVER,
    TERMINATE,
    at_once,
    autocommit_off,
    block,
    keeps,
    kept_nothing,
    on,
    only,
    query,
    repeating,
    request,
    several,
)
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Enter, Exit, Fork, Leave, Plan, Read, Use, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count


@promise
class ReplacesStale(Promise):
    """At stake when sessions died while no request was in flight, and ordinary requests came after the heal."""

    id = "replaces-stale"
    sentence = (
        "All idle sessions having died between requests, the next requests see no error, within the stated bound."
    )

    def not_applicable(self, variant: Variant, traits: Traits) -> str:
        # What a command keeps, where requests keep nothing, is the matter of recovers: that is Django's own way.
        return "" if keeps(variant, traits) else NOTHING_KEPT

    def seen_not_to_apply(self, record: Record) -> str:
        return kept_nothing(record)

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        yield from lifecycles.replaces_stale(self, variant, traits)
        for what, first in (("query", query("t0")), ("atomic()", block("t0"))):
            rotated = (*query("t0"), ROTATE, TERMINATE, *first, *query("t0"))
            yield self.plan(variant, f"password rotated, {what} first", *rotated)
        if several(variant):
            both = at_once("t0", "t1")
            rotated = (*both, ROTATE, TERMINATE, *query("t1"), *query("t0"), *both)
            yield self.plan(variant, "password rotated, query first", *rotated, title="another thread")
        forked = (Fork("t0"), *query("c0.t0"), TERMINATE, *query("c0.t0") * 2)
        yield self.plan(variant, "in a forked process", *forked, Exit("c0.t0"), *query("t0"))
        repeated = request("t0", Use("t0", "repeat"))
        often = (*repeated, TERMINATE, *repeated, *query("t0"))
        yield self.plan(repeating(variant), "terminated, query first", *often, title="a statement often repeated")
        named = (*query("t0"), TERMINATE, *request("t0", Use("t0", "iterator")), *query("t0"))
        yield self.plan(variant, "terminated, query first", *named, title="by iterator()")
        counted = (*query("t0"), TERMINATE, *request("t0", Use("t0", "counted")), *query("t0"))
        yield self.plan(variant, "terminated, query first", *counted, title="by a cursor of DEBUG")
        many = (*query("t0"), TERMINATE, *request("t0", Write("t0", by="many")), *query("t0"))
        yield self.plan(variant, "terminated, query first", *many, title="by executemany()")
        both = request("t0", Read("t0"), *on("twin", Read("t0")))
        inside = request("t0", Enter("t0"), Write("t0"), *on("twin", Read("t0")), Write("t0"), Leave("t0"))
        others = (*both, only("twin", TERMINATE), *inside, *both)
        yield self.plan(variant, "terminated, query first", *others, title="of another alias, in a block of this one")
        off = autocommit_off(variant)
        for how, fault in SEVER.items():
            for what, first in (("query", query("t0")), ("atomic()", block("t0"))):
                yield self.plan(variant, f"{how}, {what} first", *query("t0"), fault, *first, *query("t0"))
            after = (*query("t0"), fault, *query("t0"), *query("t0"))
            yield self.plan(off, f"{how}, AUTOCOMMIT=False", *after)
            if several(variant, 4):
                idle = at_once("t0", "t1", "t2", "t3")
                yield self.plan(variant, f"{how}, four idle, load of one", *idle, fault, *query("t0") * 4)
            if several(variant, 3):
                idle = at_once("t0", "t1", "t2")
                yield self.plan(variant, f"{how}, three idle, load of one", *idle, fault, *query("t0") * 4)
                yield self.plan(variant, f"{how}, three idle, load of three", *idle, fault, *at_once("t0", "t1", "t2"))
                blocks = (*block("t1"), *block("t2"))
                yield self.plan(variant, f"{how}, three idle, atomic() first", *idle, fault, *blocks, *block("t0"))
        yield from elapsed.stale(self, variant)
        yield from earlier.stale(self, variant)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        if not trace.stale:
            return self.unknown("no idle session died")
        requests = trace.requests
        if any(
            request.running_between(each.time, max(each.at, each.healed))
            for each in trace.landed
            for request in requests
        ):
            return self.unknown("a fault struck a running request too: what follows belongs to recovers")
        if trace.failed_before:
            return self.unknown("requests failed before any session died")
        after = [request for request in trace.requests if request.begin > trace.healed and request.ordinary]
        after = [request for request in after if not _listening(trace, request)]
        if not after:
            return self.unknown("no ordinary request came after the heal")
        for each in after:
            if each.errors and not trace.crowded_out(each):
                error = each.errors[0]
                died = f"{count(trace.stale, 'idle session')} died between requests"
                return self.broken(f"{died} and a later request of {each.actor} got an error at {error.f}", error.step)
        return self.kept(f"{count(trace.stale, 'idle session')} died and later requests saw no error")


def _listening(trace: Trace, request: Request) -> bool:
    """Whether its actor consumes notifications on the session that was lost: then it must be told of the loss."""
    before = [call for call in trace.calls if call.actor == request.actor and call.begin < request.begin]
    listens = [call for call in before if getattr(call.plan, "how", "") == "listen"]
    return any(trace.one_unit(call, request.calls[0]) for call in listens)
