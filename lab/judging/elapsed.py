"""Time that passes: what a session is like after seconds, minutes, hours, and what happens when an age ends midway.

Ages, idle times and pauses between checks are counted by the clock, and no plan lasts for minutes. So the clocks are
put forward (`Elapse`), by a ladder of steps: each is so much longer than all before it that a limit of any length lies
between two of them, also where a shorter limit of the same session comes first.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.plan_parts import FIN, TERMINATE, at_once, block, keeps, query, request, several
from lab.judging.session_state import leave
from lab.promise import Promise
from lab.records.plan import Begin, Elapse, End, Enter, Leave, Look, Plan, Read, Step, Write
from lab.records.variant import Traits, Variant

MOMENT = "after a long time"
IN_BLOCK = "a long time in a block"
LATER = (1.5, 9.0, 50.0, 280.0, 1_600.0, 9_000.0, 50_000.0, 280_000.0)
"""Seconds, from little more than one to three days."""


def stale(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """What waited for so long has died as well, in one way and in another."""
    for name, fault in (("terminated", TERMINATE), ("FIN", FIN)):
        steps = query("t0")
        for number, seconds in enumerate(LATER):
            first = block if number % 2 else query
            steps += (Elapse(seconds), fault, *first("t0"), *query("t0"))
        yield promise.plan(variant, MOMENT, *steps, title=name)
    if several(variant, 3):
        steps = ()
        for seconds in LATER:
            steps += (*at_once("t0", "t1", "t2"), Elapse(seconds), TERMINATE)
        yield promise.plan(variant, MOMENT, *steps, *at_once("t0", "t1", "t2"), title="three idle")


def looked_at(promise: Promise, variant: Variant, moment: str, init: tuple[str, ...]) -> Iterator[Plan]:
    """The first request after each time looks at once, then in a block."""
    look = request("t0", Look("t0"), Enter("t0"), Look("t0"), Leave("t0"))
    steps = look
    for seconds in LATER:
        steps += (Elapse(seconds), *look)
    yield promise.plan(variant, moment, *steps, init=init, title=MOMENT)


def left(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """What a request has left on its session is not there so much later."""
    steps: tuple[Step, ...] = request("t0", Look("t0"))
    for seconds in LATER:
        steps += (*request("t0", Look("t0"), *leave("t0", "SET", "temp table", "advisory lock")), Elapse(seconds))
    yield promise.plan(variant, MOMENT, *steps, *request("t0", Look("t0")))


def in_block(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """So much time passes in a block, before its next statement or before its COMMIT."""
    for name, last in (("before a statement", (Write("t0"),)), ("before COMMIT", ())):
        steps: tuple[Step, ...] = ()
        for seconds in LATER:
            steps += request("t0", Enter("t0"), Write("t0"), Elapse(seconds), *last, Leave("t0"))
        yield promise.plan(variant, IN_BLOCK, *steps, *query("t0"), title=name)


def beside(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """A request lasts so long that its session may be taken for one that was forgotten, and another one arrives."""
    steps: tuple[Step, ...] = ()
    for seconds in LATER:
        steps += (Begin("t0"), Enter("t0"), Write("t0"), Elapse(seconds), *query("t1"), *block("t1"))
        steps += (Write("t0"), Leave("t0"), End("t0"))
    yield promise.plan(variant, MOMENT, *steps)
    steps = ()
    for seconds in LATER:
        steps += (Begin("t0"), Read("t0"), Elapse(seconds), Begin("t1"), Read("t1"), Read("t0"), Read("t1"))
        steps += (End("t0"), End("t1"))
    yield promise.plan(variant, MOMENT, *steps, title="both in autocommit")


def in_request(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """So much time passes between two statements of a request."""
    steps: tuple[Step, ...] = (Look("t0"), *leave("t0", "SET", "temp table"), Look("t0"))
    for seconds in LATER:
        steps += (Elapse(seconds), Look("t0"), Read("t0"))
    yield promise.plan(variant, MOMENT, *request("t0", *steps))


def renewed(promise: Promise, variant: Variant, traits: Traits) -> Iterator[Plan]:
    """Sessions that are renewed by age, one and three at a time, by which none may be lost sight of."""
    if not keeps(variant, traits):
        return
    steps: tuple[Step, ...] = query("t0")
    for seconds in LATER:
        steps += (Elapse(seconds), *query("t0"))
    yield promise.plan(variant, MOMENT, *steps)
    if several(variant, 3):
        steps = at_once("t0", "t1", "t2")
        for seconds in LATER:
            steps += (Elapse(seconds), *at_once("t0", "t1", "t2"))
        yield promise.plan(variant, MOMENT, *steps, title="three at once")
