"""Which order to try next, where how many steps an actor has is not known before it has made them.

Orders are explored depth-first over the choices that were really there: an order that has run tells at each of its
steps who could have gone instead, and each of those is another order, with the same beginning. Those with fewer
preemptions come first; every order comes up once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """A place at which `chosen` went on; `able` are all actors that could have, `last` the one that had gone before."""

    able: tuple[int, ...]
    chosen: int
    last: int | None

    def preempts(self, actor: int) -> bool:
        """Whether that actor going on here interrupts the last one."""
        return self.last is not None and actor != self.last and self.last in self.able


@dataclass(frozen=True)
class Prefix:
    """How an order begins; after that the last actor goes on while it can. `of` is the number of the run it is from."""

    actors: tuple[int, ...] = ()
    preemptions: int = 0
    of: int = -1


def usual(able: Sequence[int], last: int | None) -> int:
    """Who goes on where nothing else is asked for: the last one where it can, else the next one, going round."""
    return min(able, key=lambda actor: (last is not None and actor < last, actor))


class Frontier:
    """The orders that are still to be run, with at most so many preemptions (None: any number)."""

    def __init__(self, preemptions: int | None = None) -> None:
        self.bound = preemptions
        self._heap: list[tuple[int, int, Prefix]] = [(0, 0, Prefix())]
        self._made = 1

    def __iter__(self) -> Iterator[Prefix]:
        """Take one after the other, the simplest first; `ran` may add to them meanwhile."""
        while self._heap:
            yield heapq.heappop(self._heap)[2]

    def __len__(self) -> int:
        return len(self._heap)

    def ran(self, prefix: Prefix, choices: Sequence[Choice], number: int = -1) -> None:
        """An order that began with the prefix has run, as number so many, and these were its choices."""
        spent = sum(choice.preempts(choice.chosen) for choice in choices[: len(prefix.actors)])
        for place in range(len(prefix.actors), len(choices)):
            choice = choices[place]
            before = tuple(one.chosen for one in choices[:place])
            for actor in choice.able:
                cost = spent + choice.preempts(actor)
                if actor != choice.chosen and (self.bound is None or cost <= self.bound):
                    self._add(Prefix((*before, actor), cost, number))
            spent += choice.preempts(choice.chosen)

    def _add(self, prefix: Prefix) -> None:
        heapq.heappush(self._heap, (prefix.preemptions, self._made, prefix))
        self._made += 1
