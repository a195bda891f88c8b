"""Broken: a lost connection inside atomic() is replaced when the block ends, so that COMMIT succeeds."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _commit(self) -> None:
        if not self.is_usable():
            self.connection = self.get_new_connection(self.get_connection_params())
            self._set_autocommit(False)
        super()._commit()
