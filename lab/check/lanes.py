"""Lanes: which cases run side by side. Cases that need a rig alone run first, or on a rig of their own; then the two
other lanes run at once.

Waiting costs nothing, so the lane of cases that mostly wait has many threads; the lane of those that compute has few.
A case that is not ready, because its subject is starting yet, lets those behind it go first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from lab.check.cases import Lane
from lab.explore.threads import finish

WIDE = 32
"""Threads of the lane for cases that wait. Every case takes a seat of the rig, which has 40: WIDE + NARROW must fit."""
NARROW = min(4 * (os.cpu_count() or 1), 8)
"""Threads of the lane for cases that compute: more than processors, because each case waits for a server now and then,
and some for seconds: for a session that outlives its process, or for a statement's end."""
SLOTS = 320
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
    ready: Callable[[J], bool] = lambda _: True,
) -> None:
    """Call `work` on every job, each in its lane; returns when all are done.

    A lane takes its jobs in their order, those that are not `ready` only when no other is left. `apart`: jobs of
    the lane `alone` have a rig of their own and need not run before the others. The first exception, or Ctrl-C, ends
    it: jobs that have not begun never do, and `abort` must make those that run end soon. Call it from the main thread.
    """
    ended = threading.Event()
    gate = threading.Lock()

    def begin(queue: _Queue[J]) -> None:
        if ended.is_set():
            return
        try:
            work(queue.take())
        except BaseException:
            ended.set()
            raise

    def begin_later(queue: _Queue[J]) -> None:
        with gate:
            ended.wait(STAGGER)
        begin(queue)

    of_lane: dict[Lane, list[J]] = {"alone": [], "wide": [], "narrow": []}
    for job in jobs:
        of_lane[lane(job)].append(job)
    queues = {name: _Queue(of_lane[name], ready) for name in of_lane}
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


class _Queue(Generic[J]):
    """The jobs of one lane, taken by its threads."""

    def __init__(self, jobs: Iterable[J], ready: Callable[[J], bool]) -> None:
        self._left = list(jobs)
        self._ready = ready
        self._lock = threading.Lock()
        self.number = len(self._left)

    def take(self) -> J:
        """The first that is ready; where none is, the first: it then waits for what it needs."""
        with self._lock:
            place = next((place for place, job in enumerate(self._left) if self._ready(job)), 0)
            return self._left.pop(place)


def _submit(pool: Executor, begin: Callable[[_Queue[J]], None], queue: _Queue[J]) -> list[Future[None]]:
    return [pool.submit(begin, queue) for _ in range(queue.number)]
