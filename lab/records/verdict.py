"""Verdicts: small enums, never exception texts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """Ordered from worst to best in the way they combine: one broken moment breaks the promise."""

    BROKEN = "broken"
    UNKNOWN = "unknown"
    KEPT = "kept"
    NA = "n/a"


_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of `verdicts`; n/a counts only when there is nothing else, and nothing at all is unknown."""
    return min(verdicts, key=_RANK.__getitem__, default=Verdict.UNKNOWN)


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one promise's judge says of one run: the verdict, why in one sentence, and the steps that show it.

    `djangos`: it is Django's own code that has broken it, which no ENGINE's method decides. `by_chance`: what was seen
    may also happen without any fault, so that it counts only where all runs show it, and is unknown otherwise.
    """

    promise: str
    verdict: Verdict
    summary: str = ""
    steps: tuple[int, ...] = ()
    djangos: bool = False
    by_chance: bool = False
