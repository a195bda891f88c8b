"""How a judged test ends: what is wrong with the application, or why it cannot be judged."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import BadInput
from lab.records.own_test import OwnTest


class Broken(AssertionError):
    """The application is wrong; the text is the whole report, grouped, with an address that replays for each group.

    `found` is the evidence, None where a single case was asked for or the call is wrong without a fault.
    """

    def __init__(self, text: str, found: OwnTest | None = None) -> None:
        super().__init__(text)
        self.found = found


class Unfit(BadInput):
    """This test, or the database that it runs on, cannot be judged; one line with its remedy."""


@dataclass(frozen=True)
class Outcome:
    """A test that passed: `line` says what was tried, `told` is the story of the one case that was asked for, or ""."""

    line: str
    told: str = ""
