"""How far something long is, a line now and then."""

from __future__ import annotations

import time

from rich.console import Console

EVERY = 5.0
"""Seconds between two lines."""


class Teller:
    """Prints two numbers in `words`, such as "{} of {} cases", unless it has just done so. Threads may share it."""

    def __init__(self, errors: Console, words: str) -> None:
        self._errors = errors
        self._words = words
        self._last = time.monotonic()

    def __call__(self, one: int, other: int) -> None:
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            self._errors.print(self._words.format(one, other), markup=False)
