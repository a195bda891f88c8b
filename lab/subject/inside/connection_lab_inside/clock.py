"""Puts the process's clocks forward, for what a variant does after minutes or hours: ages, idle times, pauses.

What asks Python's `time` is told the later time: also code that takes one of its functions by name, because these are
put in place before Django and the ENGINE are imported. Python's own waits, `datetime` and C libraries are not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

NS = 1_000_000_000
CLOCKS = ("time", "monotonic", "perf_counter")
_forward_ns: list[int] = []


def forward(seconds: float) -> None:
    """From now on every clock is that much later, in processes that are forked from here as well."""
    _forward_ns.append(round(seconds * NS))


class Clock:
    """One of the functions of `time`, and what was put forward; in whole nanoseconds where the function tells these.

    An object and no function: a class that keeps one of these functions as an attribute would make a method of it.
    """

    __slots__ = ("_real",)

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real

    def __call__(self) -> float:
        now = self._real()
        forward_ns = sum(_forward_ns)
        return now + (forward_ns if isinstance(now, int) else forward_ns / NS)


def install() -> None:
    """Once, before anything of the variant is imported."""
    for name in CLOCKS:
        setattr(time, name, Clock(getattr(time, name)))
        setattr(time, f"{name}_ns", Clock(getattr(time, f"{name}_ns")))
