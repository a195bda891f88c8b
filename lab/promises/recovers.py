"""recovers."""

from __future__ import annotations

from collections.abc import Iterator

from lab.promise import Promise, promise
from lab.promises import loss
from lab.promises.phrase import FIN, LOSE_ANSWER, RST, TERMINATE, block, count, inject, query, request, several
from lab.records.plan import Await, Begin, End, Enter, Heal, Leave, Plan, Read, Step, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.trace import Trace


@promise
class Recovers(Promise):
    """At stake when a request met a fault, or ended inside an atomic block, and ordinary requests came after the heal.

    Each session that died idle may cost one later request an error, which belongs to replaces-stale; k is 1 beyond.
    """

    id = "recovers"
    sentence = (
        "Counted from the first request that met a fault (got its error, or was running when it struck), every "
        "actor's next request succeeds after the heal: nothing stays poisoned, in the wrapper or behind it."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        after = (*query("t0"), *block("t0"))
        for name, fault in (("FIN", FIN), ("RST", RST), ("terminated", TERMINATE)):
            yield self.plan(
                variant, "idle in request", *request("t0", Read("t0"), fault, Read("t0")), *after, title=name
            )
            yield self.plan(variant, "mid-query", *request("t0", Read("t0", hold=True), fault), *after, title=name)
            in_atomic = request("t0", Enter("t0"), Write("t0"), fault, Write("t0"), Leave("t0"))
            yield self.plan(variant, "in atomic", *in_atomic, *after, title=name)
            swallowed = request("t0", Enter("t0"), Write("t0"), fault, Write("t0", swallow=True), Leave("t0"))
            yield self.plan(variant, "in atomic, swallowed", *swallowed, *after, title=name)
            commit = request("t0", Enter("t0"), Write("t0", hold="commit"), Leave("t0"), fault)
            yield self.plan(variant, "at COMMIT", *commit, *after, title=name)
            yield self.plan(variant, "at close", *request("t0", Read("t0"), fault), *after, title=name)
        lost = request("t0", Enter("t0"), Write("t0"), LOSE_ANSWER, Leave("t0"))
        yield self.plan(variant, "at COMMIT, answer lost", *lost, Heal(), *after)
        # A pool waits until it is healed, others get their error at once: both go on after the Heal.
        meets: tuple[Step, ...] = (Begin("t0"), Read("t0"), Heal(), End("t0"))
        yield self.plan(variant, "while connecting", LOSE_ANSWER, *meets, *after)
        yield self.plan(variant, "refused for a while", *query("t0"), inject("refuse"), *meets, *after)
        yield self.plan(variant, "refused for a while", inject("refuse"), *meets, *after, title="refused at first")
        yield self.plan(variant, "while connecting", inject("fill-slots"), *meets, *after, title="no connection slot")
        yield self.plan(variant, "while connecting", inject("black-hole"), *meets, *after, title="black hole")
        hole = request("t0", Read("t0"), inject("black-hole"), Read("t0"), Heal())
        yield self.plan(variant, "mid-query", *hole, *after, title="black hole")
        for mode in ("fast", "immediate"):
            restart = request("t0", Enter("t0"), Write("t0"), inject("restart", mode=mode), Write("t0"), Leave("t0"))
            yield self.plan(variant, "in atomic", *restart, *after, title=f"{mode} restart")
        crash = request("t0", Read("t0", hold=True), inject("crash"))
        yield self.plan(variant, "mid-query", *crash, *after, title="crash")
        dawdle = (inject("idle-in-transaction-timeout"), Begin("t0"), Enter("t0"), Write("t0"), Await(), Write("t0"))
        yield self.plan(variant, "in atomic", *dawdle, Leave("t0"), End("t0"), Heal(), *after, title="idle timeout")
        signal = request("t0", Read("t0", hold=True), inject("interrupt"))
        yield self.plan(variant, "signal handler raises", *signal, *after)
        signal = request("t0", Enter("t0"), Write("t0"), Read("t0", hold=True), inject("interrupt"))
        yield self.plan(variant, "signal handler raises", *signal, *after, title="in atomic")
        never = request("t0", Enter("t0"), Write("t0"))
        yield self.plan(variant, "block never left", *never, *after)
        if several(variant):
            both = (Begin("t0"), Begin("t1"), Read("t0"), Enter("t1"), Write("t1"), FIN, Read("t0"), Write("t1"))
            ends = (Leave("t1"), End("t0"), End("t1"))
            yield self.plan(variant, "in atomic", *both, *ends, *after, *block("t1"), title="two actors")
        yield from loss.recovers(self, variant)

    def judge(self, record: Record) -> Finding:
        if record.fate == "died":
            return self.broken(f"the subject's process died (exit status {record.exit})")
        trace = Trace(record)
        met = [request for request in trace.requests if trace.met(request) or request.never_left]
        if not met:
            return self.unknown("no request met a fault")
        since = min(request.begin for request in met)
        after = [
            request
            for request in trace.requests
            if request.begin > max(since, trace.healed) and request.ordinary and request not in met[:1]
        ]
        if not after:
            return self.unknown("no ordinary request came after the heal")
        if trace.failed_before:
            return self.unknown("requests failed before any fault struck")
        # The first request may itself have been the one that found a stale session.
        spare = trace.stale - sum(bool(request.errors) and request.begin > trace.struck for request in met[:1])
        for failed in (one for one in after if one.errors and not trace.crowded_out(one)):
            spare -= 1
            if spare < 0:
                error = failed.errors[0]
                what = "the heal" if trace.landed else "a block that was never left"
                return self.broken(f"after {what} a request of {failed.actor} got an error at {error.f}", error.step)
        return self.kept(f"{count(len(after), 'request')} came after the heal and none still failed")
