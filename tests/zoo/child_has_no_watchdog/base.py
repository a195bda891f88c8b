"""Broken: the thread that watches how long a call takes does not live on in a forked process, and none is started."""

from __future__ import annotations

import os

from backend_under_test.persistent_threadlocal.base import DatabaseWrapper as Persistent

watched: list[int] = []


class DatabaseWrapper(Persistent):
    given: float | None = None

    @property
    def limit(self) -> float | None:
        if not watched:
            watched.append(os.getpid())
        return self.given if os.getpid() in watched else None

    @limit.setter
    def limit(self, seconds: float | None) -> None:
        self.given = seconds
