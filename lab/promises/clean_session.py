"""clean-session: what one request sets on its session must not be seen by the next request, which is another user's.

A kept session carries SET, SET ROLE, search_path, temporary tables and locks on: the next user reads with the wrong
role or in the wrong tenant's schema. hasura/graphql-engine #10852 is such a report: a pool without a reset. No reset of
the session undoes what was left on the driver's connection object: the next user's transactions are then read-only, or
its rows come in another form.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging import elapsed, lifecycles
from lab.judging.calls import Call, Request
from lab.judging.plan_parts import TERMINATE, in_turn, interrupted_at_return, keeps, looked_at, on, request, several
from lab.judging.session_state import LEAVE, WRAPPER, difference, leave, looks, objects, sets, state
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import (
    Autocommit,
    Begin,
    Close,
    End,
    Enter,
    Exit,
    Fail,
    Fork,
    Leave,
    Look,
    Plan,
    Read,
    Set,
    Sql,
    Step,
    Stop,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

OF_DRIVER: dict[str, tuple[Step, ...]] = {
    "the driver's connection: transactions": tuple(
        Set("t0", what) for what in ("driver_isolation_level", "driver_read_only", "deferrable")
    ),
    "the driver's connection: rows and handlers": tuple(
        Set("t0", what)
        for what in (
            *("cursor_factory", "row_factory", "type_loader", "prepare_threshold"),
            *("notice_handler", "notify_handler"),
        )
    ),
    "the driver's connection: autocommit": (Set("t0", "driver_autocommit"), Read("t0")),
}
OF_WRAPPER: dict[str, tuple[Step, ...]] = {
    "Django's wrapper: a block never left": (Enter("t0"), Set("t0", "run_on_commit"), Set("t0", "savepoint_ids")),
    "Django's wrapper: needs_rollback": (Enter("t0"), Set("t0", "needs_rollback")),
    "Django's wrapper: execution": (Set("t0", "force_debug_cursor"), Set("t0", "execute_wrappers")),
}
"""What is left on the objects before the session, by moment."""


@promise
class CleanSession(Promise):
    """At stake when a request left state on its session, and a later one got that session or it was ended.

    Every later request must find the session as the first look found it, before any state was left there, and so the
    driver's connection object and Django's wrapper. What OPTIONS or a connection_created receiver sets up is part of
    that first look. Where Django is told nothing of
    an end (in a command), all that an actor does until its next close() is one request in this sense.
    """

    id = "clean-session"
    sentence = (
        "Session state of one request (SET, role, search_path, time zone, temp tables, advisory locks, LISTEN, "
        "prepared statements, read-only, isolation level, autocommit, statement_timeout) is not seen by the next, nor "
        "what it leaves on the driver's connection object or on Django's wrapper."
    )
    of_django = ("Django's wrapper: execution", "Django's wrapper: needs_rollback")

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        look = request("t0", Look("t0"))
        then = looked_at(variant, traits)
        for kind in LEAVE:
            yield self.plan(variant, kind, *look, *request("t0", Look("t0"), *leave("t0", kind)), *then)
        off = request("t0", Look("t0"), Autocommit("t0"), Read("t0"))
        yield self.plan(variant, "autocommit", *look, *off, *then)
        everything = (Look("t0"), *leave("t0"))
        ends: dict[str, tuple[Step, ...]] = {
            "in atomic()": (Enter("t0"), *everything, Leave("t0")),
            "then an error": (*everything, Fail("t0")),
            "then a block never left": (*everything, Enter("t0"), Read("t0")),
            "then an aborted block never left": (*everything, Enter("t0"), Fail("t0", swallow=True)),
            "then autocommit off": (*everything, Autocommit("t0"), Read("t0")),
            "then close()": (*everything, Close("t0")),
        }
        if keeps(variant, traits):
            ends["then its session lost"] = (*everything, TERMINATE, Read("t0"))
        for end, steps in ends.items():
            yield self.plan(variant, f"all of it, {end}", *look, *request("t0", *steps), *then)
        wrote = request("t0", Look("t0"), *leave("t0", "SET"), Enter("t0"), Write("t0"), Leave("t0"))
        yield self.plan(variant, "SET", *wrote, *wrote, *then, title="twice, with a transaction")

        # Nothing else in that request: what reads its statements for a sign of state must find none.
        raw = (Sql("t0", LEAVE["SET"][0], raw=True), Sql("t0", LEAVE["LISTEN"][0], raw=True), Write("t0"))
        yield self.plan(variant, "SET", *look, *request("t0", *raw), *then, title="by the driver's own cursor")
        state = (Look("t0"), *leave("t0", "SET", "temp table"))
        blocks = in_turn(traits, *request("t0", Enter("t0"), Look("t0"), Write("t0"), Leave("t0")))
        yield self.plan(variant, "SET", *look, *request("t0", *state), *blocks, title="atomic() first")

        if several(variant):
            waits: tuple[Step, ...] = (Begin("t0"), *state, Begin("t1"), Look("t1"), End("t0"), End("t1"))
            both = (Begin("t0"), Begin("t1"), Look("t0"), Look("t1"), End("t0"), End("t1"))
            yield self.plan(variant, "SET", *look, *waits, *both, *then, title="handed to one that waits")
            taken: tuple[Step, ...] = (Begin("t0"), Read("t0"), Close("t0"), Begin("t1"), Read("t1"))
            taken += (*state, End("t0"), Read("t1"), End("t1"))
            yield self.plan(
                variant, "SET", *look, *taken, *both, *then, title="closed by hand, then beside another request"
            )
            beside = (Begin("t1"), Read("t1"), *request("t0", Look("t0"), *leave("t0", "SET", "temp table")), End("t1"))
            yield self.plan(variant, "SET", *look, *beside, *both, *then, title="beside another request")
        kin = (*look, *request("t0", Look("t0"), *leave("t0", "SET", "temp table")), *then)
        yield self.plan(variant, "SET", *on("kin", *kin), title="another alias")
        failed = (*look, *request("t0", Look("t0"), *leave("t0", "SET", "temp table"), Fail("t0")), *then)
        yield self.plan(variant, "all of it, then an error", *on("kin", *failed), title="another alias")
        inner = (Enter("t0"), Enter("t0"), *leave("t0", "SET", "temp table"), Leave("t0"), Leave("t0"))
        forked = (*look, Fork("t0"), Exit("c0.t0"), *request("t0", Look("t0"), *inner), *then)
        yield self.plan(variant, "all of it, in atomic()", *forked, title="after a fork, in a savepoint")
        if keeps(variant, traits) and traits.own_close:
            everything = (Look("t0"), *leave("t0", "SET", "temp table", "advisory lock"))
            for raises in ("exception", "base"):
                struck = interrupted_at_return("t0", *everything, raises=raises)
                yield self.plan(variant, "SET", *look, *struck, *then, title=f"a signal at its end, {raises}")
        yield from self._threads(variant)
        for moment, left in OF_DRIVER.items():
            yield self.plan(variant, moment, *look, *request("t0", Look("t0"), *left), *then)
        # One by one: a session that is given up for the other things' sake shows nothing.
        alone = [Set("t0", "unread_notifications")]
        alone += [Set("t0", "encoding")] if variant.driver == "psycopg2" else []  # psycopg has no call for it
        for each in alone:
            left = request("t0", Look("t0"), each)
            moment, title = "the driver's connection: rows and handlers", each.what.replace("_", " ")
            yield self.plan(variant, moment, *look, *left, *then, title=title)
        if keeps(variant, traits):
            yield from elapsed.left(self, variant)
        yield from lifecycles.clean_session(self, variant, traits)
        for moment, left in OF_WRAPPER.items():  # last: what Django breaks itself must not settle the promise
            yield self.plan(variant, moment, *look, *request("t0", Look("t0"), *left), *then)

    def _threads(self, variant: Variant) -> Iterator[Plan]:
        """A thread ends, and Django is not told: what it had on its session is not for the next one that gets it."""
        if not several(variant, 3):
            return
        state = (Look("t1"), *leave("t1", "SET", "temp table", "advisory lock", "LISTEN"))
        after = tuple(step for actor in ("t2", "t3", "t0") for step in request(actor, Look(actor)))
        moment, look = "a thread that ends", request("t0", Look("t0"))
        yield self.plan(variant, moment, *look, Begin("t1"), *state, Stop("t1"), *after, title="in a request")
        executors = (*look, *request("t1", *state), Stop("t1"), *after)
        yield self.plan(variant, moment, *executors, title="an executor's", lifecycles={"t1": "thread"})

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        baseline: dict[str, Call] = {}
        seen = 0
        struck = {session for landing in trace.landed for session in landing.struck}
        if (blind := _blind(trace)) is not None:
            return self.broken(f"a later request of {blind.actor} could not begin: needs_rollback was left", blind.step)
        for each, look in looks(trace):
            alias = look.alias
            before = [call for call in trace.calls if call.begin < look.begin and _left(call, alias)]
            if not before:
                baseline.setdefault(alias, look)
            if alias not in baseline:
                continue  # there is nothing to compare with
            own = {field for call in before if trace.one_unit(call, look) for field in sets(call)}
            earlier = [call for call in before if not trace.one_unit(call, look)]
            theirs = {field for call in earlier for field in sets(call)}
            first = state(baseline[alias]) | objects(baseline[alias])
            was = {field: value for field, value in first.items() if field in theirs - own}
            if changed := difference(was, state(look) | objects(look)):
                return self.broken(f"a later request of {each.actor} found {changed}", look.step)
            left_in = [other for other in trace.requests if set(map(id, filter(_on_session, earlier))) & _ids(other)]
            seen += any(look.session in other.sessions or struck & set(other.sessions) for other in left_in)
            seen += any(call.actor == look.actor and not _on_session(call) for call in earlier)
        ended = _ended(record, trace)
        if not seen and not ended:
            left = [call for call in trace.calls if sets(call)]
            gone = {call.actor for call in trace.calls if call.f == "stop"}
            if left and all(call.actor in gone for call in left):
                return self.none("what a thread had that ended was handed on to no other one")
            return self.unknown("no session on which state had been left was looked at again")
        seen_at = f"{count(seen, 'look')} at sessions on which state had been left"
        return self.kept(f"{seen_at}, and {count(ended, 'such session')} ended")


def _blind(trace: Trace) -> Call | None:
    """A later request's first statement that Django itself refuses, because the last block was marked for rollback."""
    if trace.landed:
        return None
    for each in trace.requests:
        before = [call for call in trace.calls if call.actor == each.actor and call.begin < each.begin]
        marked = any("needs_rollback" in sets(call) for call in before)
        first = next((call for call in each.calls if call.f == "look"), None)
        if marked and first is not None and first.failed and not any(map(sets, each.calls)):
            return first
    return None


def _left(call: Call, alias: str) -> bool:
    """Whether the call has left state on a session of the alias."""
    return bool(sets(call)) and call.alias == alias


def _on_session(call: Call) -> bool:
    """Whether what the call has left goes with its session, and not with the thread's wrapper."""
    return bool(set(sets(call)) - set(WRAPPER))


def _ids(request: Request) -> set[int]:
    return {id(call) for call in request.calls}


def _ended(record: Record, trace: Trace) -> int:
    """How many sessions on which state had been left were gone, without a fault, before the process ended."""
    struck = {session for landing in record.landings for session in landing.struck + landing.cut}
    final = {session.id for census in record.census if census.at == "final" for session in census.sessions}
    if not any(census.at == "final" for census in record.census):
        return 0
    dirty = {session for each in trace.requests if any(map(_on_session, each.calls)) for session in each.sessions}
    return len(dirty - final - struck)
