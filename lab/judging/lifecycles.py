"""Directed plans for units of work that are not requests, for the promises that those put at stake.

Each lifecycle is a moment of each promise; its first plan is the one that tells most.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.plan_parts import FIN, SEVER, TERMINATE, block, inject, keeps, looked_at, query, request, several
from lab.judging.session_state import leave
from lab.promise import Promise
from lab.records.lifecycle import MOMENTS, Lifecycle
from lab.records.plan import (
    Autocommit,
    Begin,
    Close,
    End,
    Enter,
    Exit,
    Fail,
    Finish,
    Fork,
    Heal,
    Leave,
    Look,
    Plan,
    Read,
    Step,
    Write,
)
from lab.records.variant import Traits, Variant

TASKS: tuple[Lifecycle, ...] = ("task-before", "task-after", "task")
TOLD_AFTER: tuple[Lifecycle, ...] = ("task-after", "task")
"""Lifecycles of which the end is told: what is not kept between requests is not kept between these."""
STATE = ("SET", "temp table", "advisory lock")
"""Session state of three kinds, of which no two are undone by the same statement but DISCARD ALL."""
LATE, NEVER = "ended late", "never ended"


def replaces_stale(promise: Promise, variant: Variant, traits: Traits) -> Iterator[Plan]:
    """A session dies while its command, task or thread has nothing to do."""
    for lifecycle in _kept_in(variant, traits):
        own = _Own(promise, variant, lifecycle)
        for how, fault in SEVER.items():
            yield own.plan(f"{how}, query first", *own.job(), fault, *own.job(), *own.job())
            yield own.plan(f"{how}, atomic() first", *own.job(), fault, *own.job(block), *own.job())
    if keeps(variant, traits):
        own = _Own(promise, variant, "stream")
        yield own.plan(LATE, *own.job(), Finish("t0"), TERMINATE, *own.job(), Finish("t0"), *own.job())


def recovers(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """A unit of work meets a fault; what comes after it must succeed, whatever Django is told in between."""
    for lifecycle in _possible(variant):
        own = _Own(promise, variant, lifecycle)
        a = own.actor
        after = (*own.job(), *own.job(block))
        for how, fault in (("terminated", TERMINATE), ("FIN", FIN)):
            yield own.plan(
                f"{how}, mid-query", *own.around(Begin(a), Read(a), Read(a, hold=True), fault, End(a)), *after
            )
            inside = own.around(*request(a, Enter(a), Write(a), fault, Write(a), Leave(a)))
            yield own.plan(f"{how}, in atomic()", *inside, *after)
            caught = own.around(*request(a, Read(a), fault, Read(a, swallow=True)))
            yield own.plan(f"{how}, caught", *caught, *after)
            commit = own.around(*request(a, Enter(a), Write(a, hold="commit"), Leave(a), fault))
            yield own.plan(f"{how}, at COMMIT", *commit, *after)
        if lifecycle == "stream":
            hit = request(a, Read(a), FIN, Read(a))
            yield own.plan(LATE, *hit, Finish(a), *after, Finish(a), *query(a))


def exactly_once(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """The answer of an INSERT is lost where no request is served, and a retry is somebody else's decision as well."""
    cut = inject("cut-fin", moment="command-complete+0")
    for lifecycle in _possible(variant):
        if lifecycle == "stream":
            continue
        own = _Own(promise, variant, lifecycle)
        a = own.actor
        lost = own.around(*request(a, Read(a), Write(a, hold="statement"), cut))
        yield own.plan("INSERT, answer lost", *lost, Heal(), *own.job())


def bounded_sessions(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """Threads that take turns, of which Django is not told that they have done; sessions that are replaced."""
    if several(variant):
        own = _Own(promise, variant, "thread", "t1", "t2", "t3")
        jobs = (*query("t1"), *query("t2"), *query("t3"))
        handed = request("t0", Read("t0"), *jobs)
        yield own.plan("an executor of three", *handed, *query("t0"), *query("t0"))
    for lifecycle in ("command", *TASKS):
        own = _Own(promise, variant, lifecycle)
        for how, fault in (("terminated", TERMINATE), ("FIN", FIN)):
            yield own.plan(f"replaced, {how}", *request("t0", Read("t0"), fault, Read("t0")), *own.job() * 3)
    if several(variant):
        for lifecycle in TOLD_AFTER:
            own = _Own(promise, variant, lifecycle, "t0", "t1", "t2")
            yield own.plan("threads that take turns", *query("t0"), *query("t1"), *query("t2"), *query("t0"))
    own = _Own(promise, variant, "stream")
    yield own.plan(NEVER, *query("t0") * 3)
    yield own.plan(LATE, *query("t0") * 2, Finish("t0"), *query("t0"), Finish("t0"), Finish("t0"), *query("t0"))


def idle_after_close(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """What ends by itself has ended, and what is told has an effect."""
    for lifecycle in _possible(variant):
        own = _Own(promise, variant, lifecycle)
        a = own.actor
        work = (*request(a, Read(a), Write(a)), *request(a, Enter(a), Write(a), Leave(a)))
        yield own.plan("a query, then atomic()", *own.around(*work), *own.job())
        error = request(a, Enter(a), Write(a), Fail(a))
        yield own.plan("atomic() left with an error", *own.around(*error), *own.job())
        if lifecycle in TOLD_AFTER:
            off = request(a, Read(a), Autocommit(a), Write(a))
            yield own.plan("autocommit off", *off, *own.job())


def clean_session(promise: Promise, variant: Variant, traits: Traits) -> Iterator[Plan]:
    """State that one unit of work leaves, after Django was told of an end: by a signal, or by close()."""
    for lifecycle in _possible(variant):
        own = _Own(promise, variant, lifecycle)
        a = own.actor
        told: tuple[Step, ...] = () if lifecycle in (*TASKS, "stream") else (Close(a),)
        # As many as there may be idle sessions; each gives back what it had, as in a pool that hands them out in turn.
        looks = request(a, Look(a), *told) * max(traits.level(1), 2)
        then = (*own.around(*looks), *(looked_at(variant, traits) if lifecycle == "thread" else ()))
        first = own.around(*request(a, Look(a)))
        yield own.plan("closed", *first, *own.around(*request(a, Look(a), *leave(a, *STATE), *told)), *then)


def fork_safe(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """A process forks between two units of work."""
    for lifecycle in _possible(variant):
        own = _Own(promise, variant, lifecycle)
        child = "c0.t0"
        fork = (*own.job(), Fork(own.actor), *request(child, Read(child, swallow=True)), *own.job())
        served = (
            *request(child, Read(child, swallow=True)),
            *own.job(),
            Exit(child, "normal"),
            *own.job(),
            *query("t0"),
        )
        yield own.plan("a child that works", *fork, *served)
        only = (*own.job(), Fork(own.actor), Exit(child, "normal"), *own.job(), *own.job(block))
        yield own.plan("a child that only exits", *only)


class _Own:
    """Makes plans in which some actors have that lifecycle: the main thread, or a thread that works for a request."""

    def __init__(self, promise: Promise, variant: Variant, lifecycle: Lifecycle, *actors: str) -> None:
        self._promise = promise
        self._variant = variant
        self._moment = MOMENTS[lifecycle]
        self._within = lifecycle == "thread"
        self.actor = "t1" if self._within else "t0"
        self._lifecycles: dict[str, Lifecycle] = dict.fromkeys(actors or (self.actor,), lifecycle)

    def plan(self, title: str, *steps: Step) -> Plan:
        """One whose moment is the lifecycle."""
        return self._promise.plan(self._variant, self._moment, *steps, title=title, lifecycles=self._lifecycles)

    def around(self, *steps: Step) -> tuple[Step, ...]:
        """The steps; those of an executor's thread while a request waits for them."""
        return request("t0", *steps) if self._within else steps

    def job(self, made: object = query) -> tuple[Step, ...]:
        """One unit of work: a query, or what `made` makes."""
        assert callable(made)
        return self.around(*made(self.actor))


def _possible(variant: Variant) -> tuple[Lifecycle, ...]:
    """All but a thread beside a request, where the variant is for one thread."""
    return tuple(each for each in MOMENTS if each != "thread" or several(variant))


def _kept_in(variant: Variant, traits: Traits) -> list[Lifecycle]:
    """Those between whose units of work a session is kept, as far as it was seen; a stream is a case of its own."""
    outside = keeps(variant, traits) or traits.kept_outside is not False
    after = keeps(variant, traits)
    return [each for each in _possible(variant) if each != "stream" and (after if each in TOLD_AFTER else outside)]
