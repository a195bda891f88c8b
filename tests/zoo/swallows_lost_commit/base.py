"""Broken: a connection lost at COMMIT is taken for a COMMIT that was done."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _commit(self) -> None:
        try:
            super()._commit()
        except (OperationalError, InterfaceError):
            if self.connection is None or not self.connection.closed:
                raise
            self.connection = self.get_new_connection(self.get_connection_params())
            self._set_autocommit(False)
