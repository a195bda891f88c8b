"""Progress: how a campaign reports how far it is. A face implements it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a campaign calls while it runs, from one thread."""

    def part(self, name: str, done: int, of: int, seconds: float = 0.0) -> None:
        """A part of the campaign (a variant's kind): so many of its cases are done; `seconds`: what they took now."""

    def broken(self, variant: str, promise: str, where: str, *, claimed: bool) -> None:
        """A promise was seen broken for the first time: where it is not `claimed`, that is a limit."""

    def workers(self, number: int) -> None:
        """So many workers take slices now."""

    def say(self, line: str) -> None:
        """A line about the campaign itself."""


class Silent:
    """Progress that is reported to no face."""

    def part(self, name: str, done: int, of: int, seconds: float = 0.0) -> None:
        """Nothing."""

    def broken(self, variant: str, promise: str, where: str, *, claimed: bool) -> None:
        """Nothing."""

    def workers(self, number: int) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""
