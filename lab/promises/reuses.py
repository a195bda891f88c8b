"""reuses: a backend that keeps sessions must really use them again, or its users pay its risks for nothing.

Connecting costs more than a simple query does: the published snippet reports 350 requests a second without a kept
session and 1600 with one. A store whose key changes with each request opens a session every time, unnoticed.
So does a pool that something closes at the end of each piece of work (celery #10554).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from lab.judging.calls import FOREVER, Request
from lab.judging.plan_parts import NOTHING_KEPT, block, keeps, kept_nothing, pools, query, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

MOST = 50
"""Sessions of a pool: a plan asks for one request more, and says nothing of a larger pool that hands out each once."""
SPARE = 2
"""Sessions that an ENGINE which states no number may open for each actor: the one in use, and a spare."""


@promise
class Reuses(Promise):
    """At stake in a run without faults in which one actor made at least two ordinary requests, none beside another."""

    id = "reuses"
    sentence = (
        "N requests in a row, one at a time, open no session beyond the configured number; "
        "with one kept session per actor they all run on that one."
    )

    def not_applicable(self, variant: Variant, traits: Traits) -> str:
        return "" if keeps(variant, traits) or pools(traits) else NOTHING_KEPT

    def seen_not_to_apply(self, record: Record) -> str:
        return "" if pools(record.traits) else kept_nothing(record)

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        # More than a pool has sessions: each may be handed out once in turn.
        most = min(traits.pool_max, MOST)
        yield self.plan(variant, "query first", *query("t0") * max(most + 1, 8))
        yield self.plan(variant, "atomic() first", *block("t0") * max(most + 1, 3))
        if several(variant):
            turn = (*query("t0"), *query("t1"), *block("t0"), *block("t1"))
            yield self.plan(variant, "two actors in turn", *turn * (most // 4 + 1))

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        requests = trace.requests
        actors = {request.actor for request in requests}
        if why := _incomparable(record, requests, actors):
            return self.unknown(why)
        if failed := next((request for request in requests if request.errors), None):
            return self._failed(requests, failed, alone=not several(record.plan.variant))
        if not any(sum(request.actor == actor for request in requests) > 1 for actor in actors):
            return self.unknown("no actor made two requests")
        if record.traits.uncounted and not record.maximum:
            return self.unknown(record.traits.keeping)
        last = max(request.calls[-1].step for request in requests)
        traits = record.traits
        # A pool that keeps some for each thread has as many for so many threads in turn as for so many at once.
        size = record.maximum or (traits.level(len(actors)) if traits.levels else 0)
        ended = sum(call.f == "stop" for call in trace.calls)  # a session may be given up with its thread
        allowed = size + ended if size else len(actors)
        used = {session for request in requests for session in request.sessions}
        if len(used) > allowed:
            return self.broken(
                f"{len(requests)} requests, one at a time, used {len(used)} sessions where {allowed} would do", last
            )
        opened = {session.id for census in record.census if census.at != "after exit" for session in census.sessions}
        if len(used | opened) > (allowed if size else SPARE * allowed):
            return self.broken(f"{len(requests)} requests, one at a time, opened {len(used | opened)} sessions", last)
        if not size:
            for actor in actors:
                mine = {session for request in requests if request.actor == actor for session in request.sessions}
                if len(mine) > 1:
                    return self.broken(f"the requests of {actor} did not all run on its one session")
        return self.kept(f"{len(requests)} requests, one at a time, used {count(len(used), 'session')}")

    def _failed(self, requests: list[Request], failed: Request, *, alone: bool) -> Finding:
        """A request without a fault failed: broken where only the sessions that the backend keeps can be the reason.

        `alone`: it says that it is made for one thread.
        """
        if alone and len({request.actor for request in requests}) > 1:
            return self.unknown("it is made for one thread, and several used it")
        if not any(request.sessions and request.end < failed.begin for request in requests):
            return self.unknown("no request was served before one that failed")
        error = failed.errors[0]
        return self.broken(f"a request of {failed.actor} without a fault got an error at {error.f}", error.step)


def _incomparable(record: Record, requests: list[Request], actors: set[str]) -> str:
    """Why the sessions of a run say nothing of what is kept, "" where they do."""
    calls = Trace(record).calls
    if Trace(record).time_passed(0, FOREVER):
        return "time passed, by which sessions may have been renewed"
    if record.landings or not all(request.ordinary for request in requests):
        return "a fault or an unusual step explains a new session"
    if any(later.begin < earlier.end for earlier, later in pairwise(requests)):
        return "requests ran at the same time"
    if len({call.alias for call in calls if call.ending != "skip"}) > 1:
        return "several aliases were used"
    if any(call.f == "fork" for call in calls):
        return "a process forked"
    if len(actors) > 1 and any(request.lifecycle in ("command", "thread") for request in requests):
        return "a thread of which Django hears no end kept what it had"
    return ""
