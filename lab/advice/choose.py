"""The smallest set of changes that mends the most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

Ids = frozenset[str]
Price = Callable[[str], int]


def covers(ids: Ids, mends: Mapping[Ids, frozenset[int]]) -> frozenset[int]:
    """What a set of changes mends, by what was seen of its parts."""
    return frozenset().union(*(places for part, places in mends.items() if part <= ids))


def smallest(wanted: Iterable[int], mends: Mapping[Ids, frozenset[int]], price: Price) -> Ids:
    """The set that mends the most of what is wanted; of those the cheapest, then the one with the fewest changes.

    Empty where nothing mends any of it. Sets are unions of those that were tried.
    """
    goal = frozenset(wanted)
    useful = [part for part, places in mends.items() if places & goal]
    best: tuple[tuple[int, int, int, list[str]], Ids] | None = None
    for number in range(1, min(len(useful), 5) + 1):
        for parts in combinations(useful, number):
            ids = frozenset[str]().union(*parts)
            covered = covers(ids, mends) & goal
            key = (-len(covered), sum(map(price, ids)), len(ids), sorted(ids))
            if best is None or key < best[0]:
                best = (key, ids)
    return best[1] if best else frozenset()
