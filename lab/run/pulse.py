"""Whether the lab itself was held up while a plan ran: stopped, starved or swapped out, with all that it measures by.

A plan's waits compare a step with the clock. When nothing of the lab runs for longer than a step's grace, the clock has
gone on and the subject may not have: the step looks as if it had hung or waited. No wait can tell that by itself, since
it may not have begun yet, or may find its answer ready. So a thread of its own beats beside them, for as long as any
plan runs, and knows of every gap whatever the plans' threads were doing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.timing import BEAT, HELD_UP


class Pulse:
    """Beats while it is felt; many threads may feel it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._felt = 0
        self._stop = threading.Event()
        self._due = 0.0
        self._gaps: list[tuple[float, float]] = []  # when a beat was due and when it came, where it came too late

    @contextmanager
    def felt(self) -> Iterator[Callable[[], float]]:
        """Beat for the length of the block; yields the way to ask for the longest gap in it so far, in seconds."""
        begun = time.monotonic()
        self._start(begun)
        try:
            yield lambda: self._longest(begun)
        finally:
            self._end()

    def _start(self, now: float) -> None:
        with self._lock:
            self._felt += 1
            if self._felt == 1:
                self._stop = threading.Event()
                self._gaps = []
                self._due = now + BEAT
                threading.Thread(target=self._beat, args=(self._stop,), name="lab-pulse", daemon=True).start()

    def _end(self) -> None:
        with self._lock:
            self._felt -= 1
            if not self._felt:
                self._stop.set()

    def _beat(self, stop: threading.Event) -> None:
        while not stop.is_set():
            time.sleep(BEAT)  # not `stop.wait`: a thread that ends a plan must not wake this one early
            with self._lock:
                if stop.is_set():
                    return
                now = time.monotonic()
                if now - self._due > HELD_UP.seconds:
                    self._gaps.append((self._due, now))
                self._due = now + BEAT

    def _longest(self, begun: float) -> float:
        with self._lock:
            now = time.monotonic()
            # A thread that asks may have been let run before the one that beats: the gap is then still open.
            gaps = [*self._gaps, (self._due, now)]
        late = (came - max(due, begun) for due, came in gaps)
        return max((each for each in late if each > HELD_UP.seconds), default=0.0)


PULSE = Pulse()
"""The lab process's own."""
