"""Rounds made into ratios, goals and files. Nothing here measures."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """Of two series that took turns, round by round: what they share (the machine's mood) falls out."""

    median: float
    low: float
    """The first quartile of the rounds."""
    high: float
    """The third."""
    sure: tuple[float, float]
    """Where the true median lies with 95 % confidence (or as much as so few rounds give)."""
    quiet: float
    """The same of the best fifth of each one's rounds: those in which nobody else wanted the processor."""

    @classmethod
    def of(cls, ours: Sequence[float], base: Sequence[float]) -> Ratio:
        """`ours` divided by `base`, where more is better."""
        rounds = sorted(one / other for one, other in zip(ours, base, strict=True))
        low, _, high = statistics.quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else rounds * 3
        # Order statistics: ranks n/2 ± 0.98·√n hold the median in 95 of 100 cases, whatever the distribution.
        reach = round(0.98 * len(rounds) ** 0.5)
        middle = (len(rounds) - 1) / 2
        first, last = max(0, int(middle - reach)), min(len(rounds) - 1, int(middle + reach + 0.5))
        quiet = _best(ours) / _best(base)
        return cls(statistics.median(rounds), low, high, (rounds[first], rounds[last]), quiet)

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f} {self.high:.3f}] {self.quiet:.3f}"


def _best(values: Sequence[float]) -> float:
    best = sorted(values)[-max(1, len(values) // 5) :]
    return statistics.mean(best)


@dataclass(frozen=True)
class Goal:
    """What was asked of a ratio."""

    what: str
    at_least: float
    found: Ratio

    @property
    def verdict(self) -> str:
        """By the median; "within noise" where the confidence interval holds the goal as well."""
        word = "met" if self.found.median >= self.at_least else "missed"
        low, high = self.found.sure
        return f"{word}, within noise" if low < self.at_least <= high else word

    def __str__(self) -> str:
        found = f"{self.found.median:6.3f}, quiet {self.found.quiet:6.3f} (goal {self.at_least:.2f})"
        return f"{self.verdict:20} {found}  {self.what}"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {"what": self.what, "at_least": self.at_least, **asdict(self.found), "verdict": self.verdict}


def machine() -> dict[str, Any]:
    """What may be said of it."""
    return {
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.system(),
        "python": platform.python_version(),
    }


def write(path: Path, results: dict[str, Any]) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, default=asdict) + "\n", encoding="utf-8")
