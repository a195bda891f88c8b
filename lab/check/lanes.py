"""Lanes: which cases run side by side. Cases that need a rig alone run first, or on a rig of their own; then the two
other lanes run at once.

Waiting costs nothing, so the lane of cases that mostly wait has many threads; the lane of those that compute has few.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from lab.check.cases import Lane
from lab.explore.threads import finish

NARROW = 3
"""Threads of the lane for cases that compute: one more than two processors, because each case waits for a server now
and then."""
WIDE = 32
"""Threads of the lane for cases that wait. Every case takes a seat of the rig, which has 40: WIDE + NARROW must fit."""
SLOTS = 250
"""max_connections of a rig on which the lanes run: each of the WIDE + NARROW cases may need half a dozen."""
STAGGER = 0.1
"""Seconds between two beginnings in the wide lane. If all began at once, each would be so slow that the lab took its
steps for steps that wait."""

J = TypeVar("J")


def run_in_lanes(
    jobs: Sequence[J],
    lane: Callable[[J], Lane],
    work: Callable[[J], None],
    abort: Callable[[], None],
    *,
    apart: bool = False,
) -> None:
    """Call `work` on every job, each in its lane; returns when all are done.

    `apart`: jobs of the lane `alone` have a rig of their own and need not run before the others. The first exception,
    or Ctrl-C, ends it: jobs that have not begun never do, and `abort` must make those that run end soon. Call it from
    the main thread.
    """
    ended = threading.Event()
    gate = threading.Lock()

    def begin(job: J) -> None:
        if ended.is_set():
            return
        try:
            work(job)
        except BaseException:
            ended.set()
            raise

    def begin_later(job: J) -> None:
        with gate:
            ended.wait(STAGGER)
        begin(job)

    queues: dict[Lane, list[J]] = {"alone": [], "wide": [], "narrow": []}
    for job in jobs:
        queues[lane(job)].append(job)
    with (
        ThreadPoolExecutor(NARROW, "narrow") as narrow,
        ThreadPoolExecutor(WIDE, "wide") as wide,
        ThreadPoolExecutor(1, "alone") as alone,
    ):
        try:
            first = _submit(alone, begin, queues["alone"])
            if not apart:
                finish(first)
            rest = _submit(wide, begin_later, queues["wide"]) + _submit(narrow, begin, queues["narrow"])
            finish(first + rest)
        except BaseException:
            ended.set()
            for pool in (narrow, wide, alone):
                pool.shutdown(wait=False, cancel_futures=True)
            abort()
            raise


def _submit(pool: Executor, begin: Callable[[J], None], jobs: list[J]) -> list[Future[None]]:
    return [pool.submit(begin, job) for job in jobs]
