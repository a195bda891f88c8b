"""Puts the process's clocks forward, for what a variant does after minutes or hours: ages, idle times, pauses.

What asks Python's `time` is told the later time: also code that takes one of its functions by name, because these are
put in place before Django and the ENGINE are imported. `datetime`, and with it django.utils.timezone.now(), asks the
system in C: time-machine puts that forward, where the subject's interpreter has it. Python's own waits and C libraries
are not told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec

NS = 1_000_000_000
STEADY, WALL = ("monotonic", "perf_counter"), ("time",)
_forward_ns: list[int] = []
_travels: list[bool] = []


def forward(seconds: float) -> None:
    """From now on every clock is that much later, in processes that are forked from here as well."""
    if any(_travels):
        import time_machine  # 25 ms, which few plans need

        time_machine.travel(timedelta(seconds=seconds), tick=True).start()
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
    """Before anything of the variant is imported; a second time it changes nothing."""
    if _travels:
        return
    _travels.append(find_spec("time_machine") is not None)
    for name in STEADY if any(_travels) else (*STEADY, *WALL):
        setattr(time, name, Clock(getattr(time, name)))
        setattr(time, f"{name}_ns", Clock(getattr(time, f"{name}_ns")))
