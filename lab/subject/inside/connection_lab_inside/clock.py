"""Puts the process's clocks forward, for what a variant does after minutes or hours: ages, idle times, pauses.

What asks Python's `time` is told the later time: also code that takes one of its functions by name, because these are
put in place before Django and the ENGINE are imported. `datetime`, and with it django.utils.timezone.now(), asks the
system in C: time-machine puts that forward, where the subject's interpreter has it, from 3.0 on. Python's own waits and
C libraries are not told.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

NS = 1_000_000_000
STEADY, WALL = ("monotonic", "perf_counter"), ("time",)
_forward_ns: list[int] = []
_travels: list[bool] = []


def forward(seconds: float) -> None:
    """From now on every clock is that much later, in processes that are forked from here as well."""
    if any(_travels):
        with _no_pytest():
            import time_machine  # 25 ms, which few plans need
        with suppress(RuntimeError):  # freezegun is active: the project has frozen its dates, which stay so
            time_machine.travel(timedelta(seconds=seconds), tick=True).start()
            time.time()  # its clock ticks from the first look on
    _forward_ns.append(round(seconds * NS))


@contextmanager
def _no_pytest() -> Iterator[None]:
    """Nothing imports pytest here: time-machine would, for its fixture, and projects take that for a run of tests."""
    before = "pytest" in sys.modules
    if not before:
        sys.modules["pytest"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not before:
            del sys.modules["pytest"]


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
    """Replace them, before anything of the variant is imported; a second call does nothing."""
    if _travels:
        return
    _travels.append(_has_time_machine())
    for name in STEADY if any(_travels) else (*STEADY, *WALL):
        setattr(time, name, Clock(getattr(time, name)))
        setattr(time, f"{name}_ns", Clock(getattr(time, f"{name}_ns")))


def _has_time_machine() -> bool:
    """Whether time-machine 3.0 or later is there. Older ones replace time.monotonic() as well, which then tells the
    date, and take a Clock that stands there for a function in C: SIGSEGV.
    """
    try:
        import _time_machine  # type: ignore[import-not-found]  # of a C module nothing is declared
    except ImportError:
        return False
    return not hasattr(_time_machine, "original_monotonic")
