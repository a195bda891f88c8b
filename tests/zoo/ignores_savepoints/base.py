"""Broken: ROLLBACK TO SAVEPOINT does nothing."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _savepoint_rollback(self, sid: str) -> None:
        pass
