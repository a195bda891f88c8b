"""How an exploration or a reduction says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called from any thread with two numbers: cases done of how many, or steps left after how many runs."""


def silent(one: int, other: int) -> None:
    """The progress that says nothing."""
