"""The one clock of a case: the kernel's monotonic one, which the tap's `at_ns` is of too.

By clock_gettime, because freezegun puts functions of its own in the place of time.monotonic and its like; and waiting
is done with a lock, because a suite may have patched time.sleep.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def now() -> float:
    """Seconds."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def now_ns() -> int:
    """Nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def cpu() -> float:
    """Seconds of the processor that this process has used."""
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)


def pause(seconds: float) -> None:
    """Let so many seconds pass."""
    threading.Event().wait(seconds)


def wait_until(happened: Callable[[], bool], seconds: float, *, first: float = 0.0005, longest: float = 0.02) -> bool:
    """Ask until it holds (True) or `seconds` have passed (False), the first time again after `first` seconds."""
    ends = now() + seconds
    step = first
    while not happened():
        if now() >= ends:
            return False
        pause(step)
        step = min(step * 2, longest)
    return True
