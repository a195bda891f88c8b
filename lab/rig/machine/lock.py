"""A readers/writer lock: plans side by side, or one fault that concerns everybody, alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Many may hold it shared, or one exclusively; who waits for exclusive goes before whoever comes after.

    Both kinds may be nested in a thread that has them; asking for exclusive while holding shared raises `RuntimeError`,
    since two threads doing so would wait for each other.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers: dict[int, int] = {}  # thread -> how often
        self._writer: int | None = None
        self._depth = 0
        self._waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold it together with others."""
        me = threading.get_ident()
        if self._writer == me:
            yield
            return
        with self._condition:
            # A thread that already reads must not wait behind a writer that waits for it.
            while me not in self._readers and (self._writer is not None or self._waiting):
                self._condition.wait()
            self._readers[me] = self._readers.get(me, 0) + 1
        try:
            yield
        finally:
            self._leave_shared(me)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold it alone."""
        me = threading.get_ident()
        with self._condition:
            if me in self._readers:
                raise RuntimeError("exclusive() inside shared(): leave shared() first")
            self._waiting += 1
            try:
                while self._writer not in (None, me) or self._readers:
                    self._condition.wait()
            finally:
                self._waiting -= 1
            self._writer = me
            self._depth += 1
        try:
            yield
        finally:
            self._leave_exclusive()

    def _leave_shared(self, me: int) -> None:
        with self._condition:
            self._readers[me] -= 1
            if not self._readers[me]:
                del self._readers[me]
                self._condition.notify_all()

    def _leave_exclusive(self) -> None:
        with self._condition:
            self._depth -= 1
            if not self._depth:
                self._writer = None
                self._condition.notify_all()
