"""How long a check still takes, by how long what is over took."""

from __future__ import annotations

import time
from collections.abc import Callable

FEW = 5
"""Plans that must be over before their pace says anything."""


class Estimate:
    """Seconds that are left. Plans differ, and some wait for others, so that it is a guess and is said as one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._ends: float | None = None
        self._after = 0.0
        self._plans_over: float | None = None

    def expect(self, seconds: float, *, whole: bool) -> None:
        """What comes after the plans takes so many seconds; `whole`: everything does, from now on."""
        if whole:
            self._ends = self._clock() + seconds
        else:
            self._after = seconds

    def left(self, over: int, planned: int) -> float | None:
        """Seconds, by the plans that are over of those that are planned; None while there are too few to tell."""
        now = self._clock()
        if self._ends is not None:
            return max(self._ends - now, 0.0)
        if over < min(FEW, planned):
            return None
        if over < planned:
            self._plans_over = None
            return (now - self._begun) * (planned - over) / over + self._after
        self._plans_over = self._plans_over or now
        return max(self._after - (now - self._plans_over), 0.0)

    def words(self, over: int, planned: int) -> str:
        """How long it has taken, and how long it still takes."""
        past = f"{self._clock() - self._begun:.0f} s"
        left = self.left(over, planned)
        return past if left is None else f"{past}, about {_rounded(left):.0f} s left"


def _rounded(seconds: float) -> float:
    """No more precise than a guess is."""
    return max(5.0 * round(seconds / 5.0), 5.0)
