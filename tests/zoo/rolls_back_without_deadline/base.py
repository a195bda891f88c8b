"""Broken: COMMIT has a deadline, ROLLBACK has none."""

from __future__ import annotations

from backend_under_test.persistent_threadlocal.base import DatabaseWrapper as Persistent


class DatabaseWrapper(Persistent):
    def rollback(self) -> None:
        with self.query_deadline(None):
            super().rollback()
