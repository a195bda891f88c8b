"""Orders found step by step are the orders that arithmetic knows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lab.explore.frontier import Choice, Frontier, Prefix, usual
from lab.explore.orders import follow, preemptions_of, schedules


def run(lengths: Sequence[int], prefix: Prefix) -> list[Choice]:
    """Actors that never wait for each other, their numbers of steps unknown to the frontier."""
    left, last, choices = list(lengths), None, []
    for place in range(sum(lengths)):
        able = tuple(actor for actor, steps in enumerate(left) if steps)
        chosen = prefix.actors[place] if place < len(prefix.actors) else usual(able, last)
        choices.append(Choice(able, chosen, last))
        left[chosen] -= 1
        last = chosen
    return choices


def explored(lengths: Sequence[int], preemptions: int | None) -> list[tuple[int, ...]]:
    frontier = Frontier(preemptions)
    found = []
    for prefix in frontier:
        choices = run(lengths, prefix)
        frontier.ran(prefix, choices)
        found.append(tuple(choice.chosen for choice in choices))
    return found


@pytest.mark.parametrize("preemptions", [0, 1, 2, 3, None])
@pytest.mark.parametrize("lengths", [(5, 5), (1, 4), (3, 0), (2, 2, 2)])
def test_every_order_comes_up_once_and_the_simplest_first(lengths: tuple[int, ...], preemptions: int | None) -> None:
    found = explored(lengths, preemptions)
    assert len(set(found)) == len(found)
    assert set(found) == {follow(lengths, one) for one in schedules(lengths, preemptions)}
    costs = [preemptions_of(order) for order in found]
    assert costs == sorted(costs)


def test_usual_goes_on_with_the_last_one_or_the_next() -> None:
    assert usual((0, 1, 2), None) == 0
    assert usual((0, 1, 2), 1) == 1
    assert usual((0, 2), 1) == 2
    assert usual((0, 1), 2) == 0
