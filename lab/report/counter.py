"""How far something long is, in a line every few seconds."""

from __future__ import annotations

import time

from rich.console import Console

from lab.report.progress import EVERY


class Counter:
    """Prints two numbers in `words`, such as "{} of {} cases", unless it has just done so. Threads may share it."""

    def __init__(self, errors: Console, words: str) -> None:
        self._errors = errors
        self._words = words
        self._last = time.monotonic()

    def __call__(self, one: int, other: int) -> None:
        """Print them, at most every EVERY seconds."""
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            self._errors.print(self._words.format(one, other), markup=False)
