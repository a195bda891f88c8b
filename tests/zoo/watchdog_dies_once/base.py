"""Broken: what ends a call that takes too long ends with the first one."""

from __future__ import annotations

from backend_under_test.persistent_core.session import Session
from backend_under_test.persistent_threadlocal.base import DatabaseWrapper as Persistent

fired: list[float] = []
expire = Session.expire


def expire_and_die(self: Session, now: float) -> None:
    expire(self, now)
    fired.append(now)


Session.expire = expire_and_die  # type: ignore[method-assign]


class DatabaseWrapper(Persistent):
    given: float | None = None

    @property
    def limit(self) -> float | None:
        return None if fired else self.given

    @limit.setter
    def limit(self, seconds: float | None) -> None:
        self.given = seconds
