"""Broken: where ROLLBACK TO SAVEPOINT fails, a new connection takes the old one's place."""

from __future__ import annotations

from django.db import Error
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _savepoint_rollback(self, sid: str) -> None:
        try:
            super()._savepoint_rollback(sid)
        except Error:
            self.connection = self.get_new_connection(self.get_connection_params())
            self._set_autocommit(False)
            self._savepoint(sid)
