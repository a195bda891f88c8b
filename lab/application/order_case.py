"""What is known of one order of several requests, as data: who went when, what each got, which rows came and went."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.application.case import Answer, Tables
from lab.application.failure import Unfit
from lab.explore.frontier import Choice

CUT = "!"
"""In an address: the connection of the actor whose letter follows is cut instead of its statement passing."""

Content = Mapping[str, tuple[str, ...]]
"""By table the rows that came and went, as sorted texts of what can be compared from order to order."""


@dataclass(frozen=True)
class Step:
    """One actor going on: with the beginning of its request (`says` ""), or with a statement from `place`.

    `waits_for` are the actors whose locks it had to wait for.
    """

    actor: int
    says: str = ""
    place: str = ""
    waits_for: tuple[int, ...] = ()
    cut: bool = False

    @property
    def label(self) -> tuple[int, str, str]:
        """What is the same when the order runs again."""
        return self.actor, self.says, self.place


@dataclass(frozen=True)
class OrderCase:
    """One order that has run. `preemptions` 0 is a serial one.

    `deadlock`: the server has ended one of several statements that waited for each other; which one is its own choice.
    `held_open`: sessions that were idle in a transaction when all requests had their answers. `invariant` is what the
    invariant said against it, "" when it held. `diverged` says why the order could not be followed, "" when it was.
    """

    address: str
    steps: tuple[Step, ...]
    choices: tuple[Choice, ...]
    answers: tuple[Answer, ...]
    rows: Tables
    content: Content
    preemptions: int = 0
    deadlock: bool = False
    held_open: int = 0
    swallowed: Mapping[int, str] = field(default_factory=dict)
    """By actor the block of atomic() that swallowed an error of the database and with it what it had written."""
    invariant: str = ""
    diverged: str = ""

    @property
    def serial(self) -> bool:
        """Whether each request ran without another one in between."""
        return self.preemptions == 0 and not self.cut

    @property
    def cut(self) -> int | None:
        """The actor whose connection was cut, None when none was."""
        return next((step.actor for step in self.steps if step.cut), None)

    @property
    def told(self) -> tuple[object, ...]:
        """All that a judge looks at, in the form in which two runs of an order can be compared.

        After a deadlock it is left open who got what.
        """
        answers = sorted(map(str, self.answers)) if self.deadlock else list(map(str, self.answers))
        rows = () if self.deadlock else tuple(sorted((name, texts) for name, texts in self.content.items()))
        return (*answers, rows, self.deadlock, self.held_open, self.invariant)


def letter(actor: int) -> str:
    """A, B, C."""
    return string.ascii_uppercase[actor]


def address(steps: Sequence[Step]) -> str:
    """An order as letters: `ABBA`, or with a cut `AB!BA`."""
    return "".join(f"{CUT if step.cut else ''}{letter(step.actor)}" for step in steps)


def address_of(actors: Sequence[int]) -> str:
    """The same of an order that has not run."""
    return "".join(map(letter, actors))


def read_address(text: str, actors: int) -> tuple[tuple[int, ...], int | None]:
    """The order that letters mean, and the place of the cut in it. Raises Unfit."""
    known = string.ascii_uppercase[:actors]
    text = text.strip()
    letters = text.replace(CUT, "", 1)
    if not letters or any(each not in known for each in letters):
        raise Unfit(f"{text!r} is no order of {actors} requests", f"write letters of {known}, as a report prints them")
    return tuple(known.index(each) for each in letters), text.find(CUT) if CUT in text else None
