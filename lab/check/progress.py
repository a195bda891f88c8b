"""Progress: how a check reports how far it is. A face implements it; the check's threads call it, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from lab.records.variant import Variant
from lab.records.verdict import Verdict


class Progress(Protocol):
    """What a check calls while it runs."""

    def begins(self, variant: Variant, plans: Sequence[Iterable[str]], not_applicable: Iterable[str]) -> None:
        """The promises for which each of a variant's plans was made, and those that do not apply to it."""

    def expects(self, seconds: float, *, whole: bool) -> None:
        """How long what comes after the plans takes, about; `whole`: how long everything takes from now on."""

    def starts(self, variant: Variant, title: str) -> None:
        """A plan is begun: its first promise and moment."""

    def further(self, variant: Variant) -> None:
        """One more plan."""

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: Mapping[str, bool], note: str
    ) -> None:
        """A plan is over: its verdict on the promises that it was made for, and all that it broke.

        `broken` says of each whether that counts: the variant claims it there, and it is no limit (lab/check/tally.py).
        `note` says what else is remarkable, mostly "".
        """

    def say(self, line: str) -> None:
        """A line about the lab itself, such as a slow start."""


class Silent:
    """Progress that is reported to no face."""

    def begins(self, variant: Variant, plans: Sequence[Iterable[str]], not_applicable: Iterable[str]) -> None:
        """Nothing."""

    def expects(self, seconds: float, *, whole: bool) -> None:
        """Nothing."""

    def starts(self, variant: Variant, title: str) -> None:
        """Nothing."""

    def further(self, variant: Variant) -> None:
        """Nothing."""

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: Mapping[str, bool], note: str
    ) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""
