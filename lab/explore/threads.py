"""The main thread's wait for what other threads run, and its ear for Ctrl-C in each wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from types import FrameType
from typing import NoReturn

GLANCE = 0.2
"""Seconds between two looks of the waiting main thread."""

_interrupted = threading.Event()


def remember_interrupts() -> None:
    """Let `raise_lost_interrupt` know of each Ctrl-C. Call it in the main thread.

    Python runs a signal's handler between any two bytecodes of the main thread. Where these belong to a finalizer
    (`__del__`, a weak reference's callback such as an import makes), the KeyboardInterrupt is printed as ignored and
    dropped, and the lab would go on. A handler that somebody else has set stays.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def _remember(_number: int, _frame: FrameType | None) -> NoReturn:
    _interrupted.set()
    raise KeyboardInterrupt


def raise_lost_interrupt() -> None:
    """Raise a Ctrl-C again that was dropped. Every wait without end looks here, once in GLANCE seconds or so."""
    if _interrupted.is_set():
        _interrupted.clear()
        raise KeyboardInterrupt


def finish(futures: Iterable[Future[None]]) -> None:
    """Wait until all are done, or one has failed, whose exception is raised; the rest is then the caller's to end.

    Not in one wait without end: the kernel may give a Ctrl-C to another thread, and then only bytecode of the main
    thread runs its handler.
    """
    rest = set(futures)
    while rest:
        ended, rest = wait(rest, GLANCE, return_when=FIRST_EXCEPTION)
        raise_lost_interrupt()
        for future in ended:
            future.result()
