"""Broken: who is interrupted while it waits for one of three slots keeps its place in the line, and is handed one."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any, ClassVar

from zoo.correct_bounded.base import DatabaseWrapper as Bounded


class Line:
    """First come, first served; who has waited for its time steps out of the line."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.free = 3
        self.waiting: list[threading.Event] = []

    def acquire(self, timeout: float) -> bool:
        with self.lock:
            if self.free:
                self.free -= 1
                return True
            mine = threading.Event()
            self.waiting.append(mine)
        mine.wait(timeout)
        with self.lock:
            if not mine.is_set():
                self.waiting.remove(mine)
            return mine.is_set()

    def release(self) -> None:
        with self.lock:
            if self.waiting:
                self.waiting.pop(0).set()
            else:
                self.free += 1


class DatabaseWrapper(Bounded):
    slots: ClassVar[Any] = defaultdict(Line)
