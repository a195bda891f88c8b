"""Broken: every statement has a deadline, but not those of savepoints."""

from __future__ import annotations

from backend_under_test.persistent_threadlocal.base import DatabaseWrapper as Persistent


class DatabaseWrapper(Persistent):
    def _savepoint(self, sid: str) -> None:
        with self.query_deadline(None):
            super()._savepoint(sid)

    def _savepoint_commit(self, sid: str) -> None:
        with self.query_deadline(None):
            super()._savepoint_commit(sid)

    def _savepoint_rollback(self, sid: str) -> None:
        with self.query_deadline(None):
            super()._savepoint_rollback(sid)
