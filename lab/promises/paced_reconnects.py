"""paced-reconnects: a server that is down or starting must not be kept down by clients that try again at once.

A retry without a pause turns one refused connection into hundreds each second, from every worker: psycopg #709 is a
pool whose failing check became such a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lab.judging.calls import FOREVER, Request
from lab.judging.plan_parts import TERMINATE, at_once, inject, keeps, on, only, query, request, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.landing import Landing
from lab.records.plan import Begin, End, Enter, Heal, Inject, Leave, Plan, Read, Step, Use, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding

ATTEMPTS = 3
"""Connection attempts that a request may cause, and that may be made in each second, while the server refuses."""

REFUSING: dict[str, tuple[Inject, ...]] = {
    "ended at once": (inject("reject"),),
    "password refused": (inject("lock-out"), TERMINATE),
    "no connection slot": (TERMINATE, inject("fill-slots")),
    "every check fails": (inject("cut-first-answer"),),
}
KINDS = ("reject", "lock-out", "fill-slots", "cut-first-answer")
CLOSED = "refuse"
"""While it lasts nothing listens: no line counts an attempt, so that a call must tell how many its thread has made."""


@promise
class PacedReconnects(Promise):
    """At stake when a request had to connect while the server refused (the lines count connections exactly; where
    nothing listens, the attempts of the call's own thread are counted, and those of threads that are the ENGINE's).

    Allowed are 3 attempts for each request, 3 for each second, one for each session that is to be replaced, that a pool
    keeps or that the ENGINE was seen to open for so many requests, and one for each call that the application makes
    after an earlier one of its request has failed.
    """

    id = "paced-reconnects"
    sentence = (
        "While the server refuses or every check fails, connection attempts stay bounded: "
        f"no more than {ATTEMPTS} per request and per second, no storm."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        meets: tuple[Step, ...] = (Begin("t0"), Read("t0"), Heal(), End("t0"))
        blocks: tuple[Step, ...] = (Begin("t0"), Enter("t0"), Heal(), Write("t0"), Leave("t0"), End("t0"))
        # What is kept is stale then: a backend that does not check spends a request on each before it connects.
        spent = query("t0") * (traits.pool_max or 1) if not traits.health_checks else ()
        after = query("t0") * 2
        if not traits.pool_max:  # its workers make the attempts, and no call tells of those
            closed = inject(CLOSED)
            yield self.plan(variant, "nothing listens, from the start", closed, *meets, *after)
            yield self.plan(variant, "nothing listens, with a kept session", *query("t0"), closed, *meets, *after)
            both = request("t0", Read("t0"), *on("twin", Read("t0")))
            slow = on("twin", Use("t0", "slow"))  # meanwhile a thread of the ENGINE's own may try
            lasts = (Begin("t0"), Read("t0", swallow=True), *slow, Heal(), End("t0"))
            steps = (*both, only("default", closed), *lasts, *after)
            yield self.plan(variant, "nothing listens, with a kept session", *steps, title="for a while")
        for how, faults in REFUSING.items():
            cold = tuple(fault for fault in faults if fault is not TERMINATE)
            yield self.plan(variant, f"{how}, from the start", *cold, *meets, *after)
            yield self.plan(variant, f"{how}, from the start", *cold, *blocks, *after, title="atomic() first")
            kept = (*query("t0"), *(faults if keeps(variant, traits) else cold), *spent)
            yield self.plan(variant, f"{how}, with a kept session", *kept, *meets, *after)
            if how == "no connection slot":
                continue  # such plans run alone and take long
            yield self.plan(variant, f"{how}, with a kept session", *kept, *blocks, *after, title="atomic() first")
            if traits.pool_max:
                continue  # a pool lets its requests wait: the first one that is begun waits for the heal
            statements = request("t0", Read("t0", swallow=True), Read("t0", swallow=True), Read("t0", swallow=True))
            yield self.plan(variant, f"{how}, several statements", *kept, *statements, Heal(), *after)
            yield self.plan(variant, f"{how}, several requests", *kept, *query("t0") * 4, Heal(), *after)
            if several(variant, 3):
                actors = ("t0", "t1", "t2")
                load = (*at_once(*actors), *kept[3:], *at_once(*actors) * 2, Heal(), *at_once(*actors))
                yield self.plan(variant, f"{how}, several requests at once", *load)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        counts = []
        for landing in trace.landed:
            if landing.kind not in KINDS or (attempts := _attempts(trace, landing)) < 0:
                continue
            requests, seconds = _meanwhile(trace, landing)
            retries = sum(_retries(each) for each in requests)
            replaced = max(record.traits.pool_max, len(landing.struck), _ahead(record, requests))
            allowed = int(ATTEMPTS * (max(len(requests), 1) + seconds) + replaced + retries)
            if attempts > allowed and record.traits.uncounted:
                return self.unknown(f"there were {attempts} attempts to connect, and {record.traits.keeping}")
            if attempts > allowed:
                what = f"{len(requests)} requests in {seconds:.1f} s made {attempts} attempts to connect"
                return self.broken(f"{what} while the server refused; {allowed} are allowed", landing.step)
            if attempts:
                counts.append(attempts)
        for burst in _bursts(trace):
            if burst.attempts > burst.allowed:
                what = f"{burst.what} while nothing listened; {burst.allowed} are allowed"
                return self.broken(what, burst.step)
            counts.append(burst.attempts)
        if not counts and any(landing.kind == CLOSED for landing in trace.landed):
            return self.none("no call was seen to connect while nothing listened")
        if not counts:
            return self.unknown("no request tried to connect while the server refused")
        return self.kept(f"{max(counts)} attempts to connect while the server refused")


class _Burst(NamedTuple):
    """Attempts to connect while nothing listened: who made how many in words, how many are allowed, and the step."""

    what: str
    attempts: int
    allowed: int
    step: int


def _bursts(trace: Trace) -> Iterator[_Burst]:
    """Those of each call's own thread, and those of threads that are the ENGINE's."""
    for call in trace.calls:
        attempts = call.value.get("attempts", 0)
        if attempts and any(landing.kind == CLOSED for landing in trace.during(call.begin, call.end)):
            what = f"{call.f} made {attempts} attempts to connect in {call.seconds:.1f} s"
            yield _Burst(what, attempts, int(ATTEMPTS * (1 + call.seconds)), call.step)
    for landing in trace.landed:
        if landing.kind == CLOSED and (attempts := _by_engine(trace, landing)):
            what = f"threads of the ENGINE's own made {attempts} attempts to connect"
            yield _Burst(what, attempts, _engine_allowed(trace, landing), landing.step)


def _ahead(record: Record, requests: list[Request]) -> int:
    """How many sessions the ENGINE was seen to open for so many requests at once, some of them ahead; 0: none ahead."""
    actors = len({each.actor for each in requests})
    return record.traits.level(max(actors, 1)) if record.traits.levels else 0


def _until(landing: Landing, record: Record | None = None) -> int:
    """When the refusing ended, at the latest with the record."""
    if record is None:
        return landing.healed if landing.healed >= 0 else FOREVER
    last = max((census.time for census in record.census), default=landing.time)
    return min(_until(landing), last)


def _meanwhile(trace: Trace, landing: Landing) -> tuple[list[Request], float]:
    """The requests that ran while the fault was on, and for how many seconds it was."""
    requests = [each for each in trace.requests if each.running_between(landing.time, _until(landing))]
    return requests, max(_until(landing, trace.record) - landing.time, 0) / 1e9


def _attempts(trace: Trace, landing: Landing) -> int:
    """Connections that were made to the plan's lines while the fault was on; -1: they were not counted.

    One that carried an answer before the fault was made before it, though it may have been counted only afterwards.
    """
    counted = [census for census in trace.record.census if census.connects >= 0 and census.at != "after exit"]
    before = [census for census in counted if census.time <= landing.time]
    meanwhile = [census.connects for census in counted if landing.time < census.time <= _until(landing)]
    if not meanwhile:
        return -1
    base, since = (before[-1].connects, before[-1].time) if before else (0, -1)
    known = {each.id for each in before[-1].sessions} if before else set()
    used = [call for call in trace.calls if call.session and call.end <= landing.time]
    known |= {call.session for call in used if call.end <= since}
    return meanwhile[-1] - base - len({call.session for call in used} - known)


def _by_engine(trace: Trace, landing: Landing) -> int:
    """How many attempts failed in threads of the ENGINE's own while the fault was on.

    Each call tells how many have failed in its process so far. The first to end after the heal has the final count:
    later failures are not this fault's.
    """
    own = [(call.process, call.end, int(call.value.get("engine_attempts", 0))) for call in trace.calls]
    own = [each for each in own if each[-1]]  # no call tells of none
    attempts = 0
    for process in {process for process, *_ in own}:
        counts = [(end, number) for which, end, number in own if which == process]
        before = max((number for end, number in counts if end <= landing.time), default=0)
        last = max(number for _, number in counts)
        attempts += min((number for end, number in counts if end > _until(landing)), default=last) - before
    return attempts


def _engine_allowed(trace: Trace, landing: Landing) -> int:
    """How many of those are allowed: each kept session may need replacing."""
    requests, seconds = _meanwhile(trace, landing)
    traits = trace.record.traits
    kept = max(traits.pool_max, traits.level(1), _ahead(trace.record, requests))
    return int(ATTEMPTS * (max(len(requests), 1) + seconds) + kept)


def _retries(request: Request) -> int:
    """How many times the application asked again after a call of the request had failed."""
    failed = [call.failed for call in request.calls if call.f in ("read", "write", "enter", "look", "sql", "fail")]
    return sum(any(failed[:place]) for place in range(len(failed)))
