"""How a verdict is shown: a broken claim differs from a documented limit, though the fact is the same."""

from __future__ import annotations

from dataclasses import dataclass

from lab.records.result import PromiseResult
from lab.records.verdict import Verdict


@dataclass(frozen=True)
class Mark:
    """A sign, a word, and a style by rich's names; `meaning` is for the legend."""

    sign: str
    word: str
    style: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.sign} {self.word}"


KEPT = Mark("✓", "kept", "green", "held at every moment, and was at stake there")
BROKEN = Mark("✗", "broken", "bold red", "the variant claims it, and the evidence says otherwise")
LIMIT = Mark("○", "limit", "yellow", "broken as well, but the variant does not claim it: a documented limit")
UNKNOWN = Mark("?", "unknown", "magenta", "a moment at which it is at stake was not seen")
NA = Mark("–", "n/a", "dim", "the configuration says that it does not apply")
MARKS = (KEPT, BROKEN, LIMIT, UNKNOWN, NA)


def mark(promise: PromiseResult) -> Mark:
    """The mark of one cell."""
    if promise.verdict is Verdict.BROKEN:
        return BROKEN if promise.claimed else LIMIT
    return {Verdict.KEPT: KEPT, Verdict.UNKNOWN: UNKNOWN}.get(promise.verdict, NA)


def moment_mark(verdict: Verdict, claimed: bool) -> Mark:
    """The mark of one moment."""
    return mark(PromiseResult(verdict=verdict, claimed=claimed))
