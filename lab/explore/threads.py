"""The main thread's wait for what other threads run."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, wait

GLANCE = 0.2
"""Seconds between two looks of the waiting main thread."""


def finish(futures: Iterable[Future[None]]) -> None:
    """Wait until all are done, or one has failed, whose exception is raised; the rest is then the caller's to end.

    Not in one wait without end: the kernel may give a Ctrl-C to another thread, and then only bytecode of this one
    raises it.
    """
    rest = set(futures)
    while rest:
        ended, rest = wait(rest, GLANCE, return_when=FIRST_EXCEPTION)
        for future in ended:
            future.result()
