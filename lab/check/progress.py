"""How a check says how far it is. A face implements it; the calls come from the check's threads, one at a time."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told while a check runs."""

    def planned(self, variant: str, cases: int) -> None:
        """So many more cases of a variant are to be run."""

    def done(self, variant: str, title: str, broken: tuple[str, ...], note: str) -> None:
        """A case is over; `broken` are the promises that it broke, `note` says what else is remarkable, mostly ""."""

    def say(self, line: str) -> None:
        """A line about the lab itself, such as a slow start."""


class Silent:
    """Nobody listens."""

    def planned(self, variant: str, cases: int) -> None:
        """Nothing."""

    def done(self, variant: str, title: str, broken: tuple[str, ...], note: str) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""
