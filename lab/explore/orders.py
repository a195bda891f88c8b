"""Orders of the steps of several actors, as arithmetic: all of them, how many, and which are simpler.

A schedule is a list of small integers, one for each step: which of the actors that have something left goes next, 0
being the one that went last. Any list is a schedule; one that ends early goes on with zeros, so that the empty one is
sequential. A preemption is a step by another actor while the last one could have gone on. Few preemptions are enough
for most of what there is to find, so orders are sorted by their number and may be bounded by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import factorial, prod

Schedule = tuple[int, ...]
Order = tuple[int, ...]
"""Which actor makes each step."""


def follow(lengths: Sequence[int], schedule: Sequence[int] = ()) -> Order:
    """The order that a schedule means for actors with so many steps each; what it has too many is ignored."""
    left, last, order = list(lengths), 0, []
    for place in range(sum(lengths)):
        runnable = _runnable(left, last)
        last = runnable[(schedule[place] if place < len(schedule) else 0) % len(runnable)]
        left[last] -= 1
        order.append(last)
    return tuple(order)


def schedules(lengths: Sequence[int], preemptions: int | None = None) -> list[Schedule]:
    """One schedule for each order with at most so many preemptions, those with fewer first, without final zeros."""
    found = sorted(_schedules(list(lengths), 0, preemptions, started=False))
    return [_stripped(schedule) for _, schedule in found]


def number_of(lengths: Sequence[int]) -> int:
    """How many orders there are, without making them."""
    return factorial(sum(lengths)) // prod(factorial(length) for length in lengths)


def preemptions_of(order: Sequence[object]) -> int:
    """How often another actor goes on although the last one has not finished."""
    return sum(one != other and one in order[place:] for place, (one, other) in enumerate(pairwise(order), 1))


def _runnable(left: Sequence[int], last: int) -> list[int]:
    """The actors that have something left, beginning with the one that went last and going round."""
    turn = [(last + step) % len(left) for step in range(len(left))]
    return [actor for actor in turn if left[actor]]


def _schedules(left: list[int], last: int, preemptions: int | None, *, started: bool) -> Iterator[tuple[int, Schedule]]:
    """How many preemptions each schedule has, and the schedule."""
    runnable = _runnable(left, last)
    if not runnable:
        yield 0, ()
    for choice, actor in enumerate(runnable):
        cost = int(started and choice > 0 and left[last] > 0)
        if preemptions is not None and cost > preemptions:
            return
        left[actor] -= 1
        rest = None if preemptions is None else preemptions - cost
        for more, schedule in _schedules(left, actor, rest, started=True):
            yield cost + more, (choice, *schedule)
        left[actor] += 1


def _stripped(schedule: Schedule) -> Schedule:
    while schedule and not schedule[-1]:
        schedule = schedule[:-1]
    return schedule
