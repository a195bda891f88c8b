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


def install() -> None:
    """Once, before anything of the variant is imported."""
    for name in CLOCKS:
        setattr(time, name, _seconds(getattr(time, name)))
        setattr(time, f"{name}_ns", _nanoseconds(getattr(time, f"{name}_ns")))


def _seconds(real: Callable[[], float]) -> Callable[[], float]:
    def clock() -> float:
        return real() + sum(_forward_ns) / NS if _forward_ns else real()

    return clock


def _nanoseconds(real: Callable[[], int]) -> Callable[[], int]:
    def clock() -> int:
        return real() + sum(_forward_ns)

    return clock
