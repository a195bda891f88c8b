"""bounded-wait: a server that does not answer must cost a request a stated time, not its worker.

libpq waits for an answer as long as the kernel thinks that the peer lives: about a quarter of an hour under Linux's
defaults, and for ever behind a proxy that still acknowledges. A handful of such requests take all workers of a site.
statement_timeout does not help: the server enforces it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import loss
from lab.judging.calls import Call, Request
from lab.judging.plan_parts import at_once, block, inject, keeps, query, request, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import (
    Autocommit,
    Begin,
    End,
    Enter,
    Exit,
    Fork,
    Heal,
    Leave,
    Plan,
    Read,
    Stop,
    Use,
    UseName,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding

SILENT = ("black-hole", "stall", "freeze", "refuse", "fill-slots", *loss.SILENT)
MANY = 4
"""Sessions that a backend is taken to have where it states no number; a plan that exhausts a backend takes no more."""


@promise
class BoundedWait(Promise):
    """At stake when a call was under way while the server was silent or refused, or while others had all sessions."""

    id = "bounded-wait"
    sentence = (
        "Every call returns or raises within the bound: checkout, check, back-off, query, COMMIT, return and close."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        hole = inject("black-hole")
        yield self.plan(variant, "connect", hole, *query("t0"))
        if keeps(variant, traits):
            yield self.plan(variant, "checkout", *query("t0"), hole, *query("t0"))
        if traits.overrides and several(variant, MANY + 1):
            # A lock that is held while one connects, or is checked, makes the last request wait for all others.
            actors = tuple(f"t{number}" for number in range(MANY + 1))
            yield self.plan(variant, "connect", hole, *at_once(*actors), title="several requests at once")
            if keeps(variant, traits):
                steps = (*at_once(*actors), hole, *at_once(*actors))
                yield self.plan(variant, "checkout", *steps, title="several requests at once")
        yield self.plan(variant, "query", *request("t0", Read("t0"), hole, Read("t0")))
        yield self.plan(
            variant, "query", *request("t0", Read("t0"), inject("freeze"), Read("t0")), title="frozen session"
        )
        copies: tuple[UseName, ...] = ("copy-in", "copy-out")
        for way in copies:
            yield self.plan(variant, "COPY", *request("t0", Read("t0"), hole, Use("t0", way)), title=way)
        yield self.plan(variant, "executemany()", *request("t0", Read("t0"), hole, Write("t0", by="many")))
        generated = (Use("t0", "rows"), hole, Use("t0", "rest-of-rows"))
        yield self.plan(variant, "a server-side cursor", *request("t0", *generated))
        yield self.plan(variant, "COMMIT", *request("t0", Enter("t0"), Write("t0"), hole, Leave("t0")))
        yield from _ends_of_blocks(self, variant)
        # What gives up the first time may have ended with it: a timer, a thread that watches.
        twice = (*request("t0", Read("t0"), hole, Read("t0")), Heal())
        yield self.plan(variant, "a second silence", *twice, *query("t0"), *twice)
        forked = (*query("t0"), Fork("t0"), Begin("c0.t0"), Read("c0.t0"), hole, Read("c0.t0"), End("c0.t0"))
        yield self.plan(variant, "in a forked process", *forked, Heal(), Exit("c0.t0"))
        refuse = inject("refuse")
        yield self.plan(variant, "refused", *query("t0"), refuse, *query("t0"), Heal(), *query("t0"))
        yield self.plan(variant, "refused", refuse, *block("t0"), Heal(), *query("t0"), title="refused at first")
        number = traits.pool_max or MANY
        if number <= MANY and several(variant, number + 1):
            crowd = [f"t{number}" for number in range(1, number + 1)]
            took = [step for actor in crowd for step in (Begin(actor), Enter(actor), Write(actor))]
            last = (Begin("t0"), Read("t0"), End("t0"))  # the Heal keeps what follows from being done before it
            gave = [step for actor in crowd for step in (Leave(actor), End(actor))]
            yield self.plan(variant, "exhausted", *((*took, *last, Heal(), *gave) * 2), *query("t0"))
            died = [step for actor in crowd for step in (Begin(actor), Enter(actor), Write(actor), Stop(actor))]
            yield self.plan(variant, "a holder that died", *died, *query("t0"))
        if several(variant):
            # t1 is at a checkout, with whatever lock that takes: a child that is forked now inherits it as it is.
            at_work = (*query("t1"), inject("hold", moment="ready+0"), Begin("t1"), Read("t1"), Fork("t0"), Heal())
            child = (*request("c0.t0", Read("c0.t0"), Enter("c0.t0"), Write("c0.t0"), Leave("c0.t0")), End("t1"))
            yield self.plan(variant, "forked during a checkout", *at_work, *child, Exit("c0.t0"), *query("t0"))
        back = request("t0", Enter("t0"), Write("t0"), Leave("t0"), hole)
        yield self.plan(variant, "return", *back)
        pending = request("t0", Autocommit("t0"), Write("t0"), hole)
        yield self.plan(variant, "return", *pending, title="work pending")
        yield from loss.bounded_wait(self, variant, traits)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        bound = record.plan.variant.bound or record.plan.bound
        held = {event.step for event in record.events if event.f == "blocked" and event.where == "server"}
        calls = [call for call in trace.calls if call.step not in held or _answer_lost(trace, call)]
        for call in calls:
            if call.hung or (call.seconds > bound and call.step not in held):
                took = "had not returned" if call.hung else f"took {call.seconds:.1f} s, it returned"
                return self.broken(f"{call.f} {took} after the bound of {bound:g} s", call.step)
        if not any(_waited(trace, call) for call in calls) and not _crowded(trace) and not _forked(trace):
            if any(call.f == "fork" for call in trace.calls):
                return self.none("no call was under way when a process was forked")
            return self.unknown("no call had to wait for a server or for others")
        return self.kept(f"every call returned within {bound:g} s")


def _ends_of_blocks(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """Silence when a block is left by ROLLBACK, and when a savepoint is made, released or returned to."""
    hole = inject("black-hole")
    within = (Enter("t0"), Write("t0"))
    yield promise.plan(variant, "ROLLBACK", *request("t0", *within, hole, Leave("t0", "rollback")))
    for title, steps in (
        ("made", (*within, hole, Enter("t0"), Leave("t0"), Leave("t0"))),
        ("released", (*within, *within, hole, Leave("t0"), Leave("t0"))),
        ("returned to", (*within, *within, hole, Leave("t0", "rollback"), Leave("t0"))),
    ):
        yield promise.plan(variant, "a savepoint", *request("t0", *steps), title=title)


def _answer_lost(trace: Trace, call: Call) -> bool:
    """Whether a call that the plan had held was released during a loss: from then on only the loss makes it wait."""
    held = bool(getattr(call.plan, "hold", ""))
    return held and any(landing.kind in loss.SILENT for landing in trace.during(call.begin, call.end))


def _waited(trace: Trace, call: Call) -> bool:
    """Whether the call met a server that was silent or refused: it failed, or it only had to give its session back.

    A call that the heal released says nothing about how long it would have waited.
    """
    faults = [landing for landing in trace.during(call.begin, call.end) if landing.kind in SILENT]
    return any(call.end < landing.healed for landing in faults) and (call.failed or call.f in ("end", "close"))


def _forked(trace: Trace) -> bool:
    """Whether a process was forked while another thread was in a call, and the child then asked for something."""
    for fork in (call for call in trace.calls if call.f == "fork" and call.ending == "ok"):
        child = f"{fork.value.get('child')}.t0"
        beside = [call for call in trace.calls if call.actor not in (fork.actor, child)]
        in_call = any(call.begin < fork.begin and fork.end < call.end for call in beside)
        if in_call and any(call.actor == child and call.f == "read" for call in trace.calls):
            return True
    return False


def _crowded(trace: Trace) -> bool:
    """Whether a request asked for a session while others had all: as many as there are or we try, or it got none."""
    number = trace.record.traits.pool_max or MANY
    for me in trace.requests:
        asked = next((call for call in me.calls if call.f in ("read", "write", "enter")), None)
        if asked is not None:
            others = [one for one in trace.requests if one is not me and one.begin < asked.begin]
            holders = sum(_holds(one, asked.begin) for one in others)
            if holders >= (1 if asked.failed else number):
                return True
    return False


def _holds(request: Request, time: int) -> bool:
    """Whether it has a session that it has not given back by then; a thread that stops gives nothing back."""
    stopped = request.calls[-1].f == "stop"
    return bool(request.sessions) and (stopped or request.end > time)
