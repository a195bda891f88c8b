"""recovers: when the fault is over, the application must work again without a restart.

A wrapper that keeps its dead connection, an atomic block whose state is never cleared, or a pool slot that is never
given back makes every later request of that thread fail: commonsense/conceptnet5 #203 ("when a database connection
breaks, it stays broken"), procrastinate #1134.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import lifecycles, loss, situations
from lab.judging.calls import ORDINARY, Request
from lab.judging.plan_parts import (
    FIN,
    LOSE_ANSWER,
    ROTATE,
    RST,
    TERMINATE,
    WHILE_LOCKED,
    at_once,
    block,
    commits_at_close,
    in_flight,
    inject,
    interrupted_at_checkout,
    interrupted_at_close,
    interrupted_while_connecting,
    keeps,
    query,
    repeating,
    request,
    several,
    unprepared,
)
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Await, Begin, End, Enter, Fail, Heal, Leave, Plan, Read, Step, Use, UseName, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

OFTEN = 10
"""Failures in a row in one plan: as many as a pool may have slots, of which each failure could cost one."""
WAITERS = 4
"""Requests at most that a signal interrupts while others have all sessions: as many as a small queue has."""
CROWD = 12
"""Requests in flight that one fault meets: a pool that loses a slot for each is then short if it has below 24."""


@promise
class Recovers(Promise):
    """At stake when a request met a fault, or ended inside an atomic block, and ordinary requests came after the heal.

    Also where the server refused one of its statements, or others had all sessions, and nothing else happened.

    Each session that died idle may cost one later request an error, which replaces-stale judges. Apart from those the
    first request after the heal must already succeed.
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
        if not traits.pool_max:  # a pool lets each of its requests wait
            often = (inject("refuse"), *query("t0") * OFTEN, Heal(), *after)
            yield self.plan(variant, "refused for a while", *often, title=f"{OFTEN} requests")
            often = (inject("cut-first-answer"), *query("t0") * OFTEN, Heal(), *after)
            yield self.plan(variant, "while connecting", *often, title=f"{OFTEN} first answers cut")
        for name, refused in (("unique", Fail("t0")), ("statement_timeout", Fail("t0", "statement_timeout"))):
            failing = (*request("t0", Read("t0"), refused), *request("t0", Enter("t0"), Write("t0"), refused)) * 2
            yield self.plan(variant, "a statement refused", *failing, *after, title=name)
        for mode in ("fast", "immediate"):
            restart = request("t0", Enter("t0"), Write("t0"), inject("restart", mode=mode), Write("t0"), Leave("t0"))
            yield self.plan(variant, "in atomic", *restart, *after, title=f"{mode} restart")
        crash = request("t0", Read("t0", hold=True), inject("crash"))
        yield self.plan(variant, "mid-query", *crash, *after, title="crash")
        dawdle = (inject("idle-in-transaction-timeout"), Begin("t0"), Enter("t0"), Write("t0"), Await(), Write("t0"))
        yield self.plan(variant, "in atomic", *dawdle, Leave("t0"), End("t0"), Heal(), *after, title="idle timeout")
        yield from (*self._past_django(variant), *self._signals(variant, traits))
        never = request("t0", Enter("t0"), Write("t0"))
        yield self.plan(variant, "block never left", *never, *after)
        if several(variant):
            yield from self._two(variant)
        inside = request("t0", Read("t0"), ROTATE, TERMINATE, Read("t0"))
        yield self.plan(variant, "password rotated", *query("t0"), *inside, *after, *query("t0"))
        yield self.plan(variant, "password rotated", *query("t0"), *inside, *after, *inside, *after, title="twice")
        repeated = (Use("t0", "repeat"),)
        inside = (*request("t0", *repeated, TERMINATE, Read("t0")), *request("t0", *repeated))
        yield self.plan(repeating(variant), "idle in request", *inside, *after, title="a statement often repeated")
        yield from self._crowd(variant, traits)
        yield from self._set_up(variant)
        yield from loss.recovers(self, variant)
        yield from lifecycles.recovers(self, variant)
        yield from situations.plans(self, variant)

    def _two(self, variant: Variant) -> Iterator[Plan]:
        """A fault meets two requests at once, or one whose session another one waits for."""
        after = (*query("t0"), *block("t0"))
        both = (Begin("t0"), Begin("t1"), Read("t0"), Enter("t1"), Write("t1"), FIN, Read("t0"), Write("t1"))
        ends = (Leave("t1"), End("t0"), End("t1"))
        yield self.plan(variant, "in atomic", *both, *ends, *after, *block("t1"), title="two actors")
        # Await keeps what follows from being done before the one that waited has its answer.
        both_end = (End("t0"), End("t1"), Await())
        lost = (Begin("t0"), Read("t0"), TERMINATE, Begin("t1"), Read("t1"), Read("t0"), *both_end)
        yield self.plan(variant, "idle in request", *lost, *after, *query("t1"), title="another one waits for it")

    def _past_django(self, variant: Variant) -> Iterator[Plan]:
        """What the application asks the driver itself: of an error there Django's wrapper learns nothing."""
        asked: tuple[tuple[str, UseName, str], ...] = (
            ("COPY in", "copy-in", "copy-data"),
            ("COPY out", "copy-out", "copy-data:125"),
            ("a stream of rows", "stream", "row:125"),
        )
        for moment, how, at in asked:
            if how == "stream" and variant.driver != "psycopg":
                continue
            cut = inject("cut-fin", moment=f"{at}+0")
            inside = request("t0", Read("t0"), cut, Use("t0", how, rows=250))
            yield self.plan(variant, moment, *inside, Heal(), *query("t0"), *block("t0"))

    def _crowd(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        """One fault meets many requests, then as many are in flight again: were slots lost with the sessions?"""
        number = min(traits.pool_max or CROWD, CROWD)
        if not several(variant, max(number, 2)):
            return
        crowd = [f"t{number}" for number in range(number)]
        fails: tuple[Step, ...] = (*(Read(actor) for actor in crowd), *(End(actor) for actor in crowd))
        steps = (*in_flight(*crowd), FIN, *fails, Heal(), *at_once(*crowd), *block("t0"))
        yield self.plan(variant, "idle in request", *steps, title="a crowd")

    def _set_up(self, variant: Variant) -> Iterator[Plan]:
        """What a project does to each new session fails for a while."""
        if not several(variant, 3):
            return
        # Two are served at once before and after: whose slots were lost meanwhile?
        each = (*query("t0"), Heal())  # the Heal keeps what follows from being done before it
        locked = (*at_once("t0", "t1", "t2"), *unprepared("t1", *each * OFTEN))
        both = (Begin("t1"), Begin("t2"), Read("t1"), Read("t2"), Read("t2"), Heal(), End("t1"), End("t2"))
        steps = (*locked, *both, *query("t0"), *block("t0"))
        yield self.plan(variant, "set-up fails for a while", *steps, init=(WHILE_LOCKED,))

    def _signals(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        """A handler raises in the present call, as a worker's time limit does, and leaves something midway."""
        after = (Heal(), *query("t0"), *block("t0"))
        inside = (Enter("t0"), Write("t0"), Read("t0", hold=True))
        signal = request("t0", Read("t0", hold=True), inject("interrupt"))
        yield self.plan(variant, "signal handler raises", *signal, *after)
        signal = request("t0", *inside, inject("interrupt"))
        yield self.plan(variant, "signal handler raises", *signal, *after, title="in atomic")
        number = min(traits.pool_max or 4, OFTEN)  # a signal for a request that gets no session would not land
        yield self.plan(variant, "signal handler raises", *signal * number, *after, title=f"{number} requests")
        base = request("t0", *inside, inject("interrupt", raises="base"))
        yield self.plan(variant, "signal handler raises", *base, *after, title="a BaseException, in atomic")
        yield self.plan(variant, "signal while connecting", *interrupted_while_connecting("t0"), *after)
        if keeps(variant, traits):
            yield self.plan(variant, "signal in a checkout", *interrupted_at_checkout("t0"), *after)
        number = traits.pool_max or traits.queue_limit
        if number and several(variant, number + 1):
            crowd = [f"t{each + 1}" for each in range(number)]
            waits = (Begin("t0"), Read("t0"), inject("interrupt"), End("t0"))
            gave = [End(actor) for actor in crowd]
            # A queue that hands what comes back to the interrupted has none left for the next ones.
            steps = (*in_flight(*crowd), *waits * min(number, WAITERS), *gave)
            yield self.plan(variant, "signal in a checkout", *steps, *after, title="all are taken")
        if commits_at_close(variant, traits):
            rest = request("t0")  # it waits until the close has returned
            yield self.plan(variant, "signal at close", *interrupted_at_close("t0"), *rest, *after)

    def judge(self, record: Record) -> Finding:
        if record.fate == "died":
            return self.broken(f"the subject's process died (exit status {record.exit})")
        trace = Trace(record)
        met = [request for request in trace.requests if trace.met(request) or request.never_left]
        met = met or _unprepared(trace)
        crowded = [] if met or _refused(trace) else _crowded_out(trace)
        met = met or _refused(trace) or crowded
        if not met and record.plan.init == (WHILE_LOCKED,):
            return self.none("every request had a session, and none was set up while that failed")
        if not met:
            return self.unknown("no request met a fault")
        since = min(request.begin for request in met)
        if record.plan.init and not trace.landed:
            since = max(since, _prepared(trace))
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
            if crowded and failed.sessions:
                continue  # it had a session and wanted a second one, which no promise says that it gets
            spare -= 1
            if spare < 0:
                error = failed.errors[0]
                left = any(request.never_left for request in met)
                what = "the heal" if trace.landed else "a block that was never left" if left else "an error"
                return self.broken(f"after {what} a request of {failed.actor} got an error at {error.f}", error.step)
        return self.kept(f"{count(len(after), 'request')} came after the heal and none still failed")


def _unprepared(trace: Trace) -> list[Request]:
    """Where the set-up of sessions fails for a while: the requests that got none then."""
    if trace.record.plan.init != (WHILE_LOCKED,) or trace.landed:
        return []
    return [each for each in trace.requests if each.errors and not each.sessions and each.begin < _prepared(trace)]


def _prepared(trace: Trace) -> int:
    """When sessions could be set up again: the last statement by hand has let the lock go."""
    return max((call.end for call in trace.calls if call.f == "sql"), default=-1)


def _refused(trace: Trace) -> list[Request]:
    """Where there is no fault: the requests of which the server refused a statement, and which did nothing unusual."""
    if trace.record.landings or any(call.f == "fork" for call in trace.calls):
        return []
    usual = (*ORDINARY, "fail")
    plain = [request for request in trace.requests if all(call.f in usual for call in request.calls)]
    met = [request for request in plain if not request.errors and any(call.meant for call in request.calls)]
    return [] if any(request.errors and request.begin < met[0].begin for request in trace.requests if met) else met


def _crowded_out(trace: Trace) -> list[Request]:
    """Where there is no fault: the requests that got no session while others had all of them."""
    if trace.record.landings or any(call.f in ("fork", "stop") for call in trace.calls):
        return []
    failed = [request for request in trace.requests if request.errors and not request.sessions and request.ordinary]
    met = [request for request in failed if trace.crowded_out(request)]
    return met if met and met[0] is failed[0] else []
