"""Broken: a COMMIT that failed is sent again on a new connection, where it succeeds and means nothing."""

from __future__ import annotations

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _commit(self) -> None:
        try:
            super()._commit()
        except Database.OperationalError:
            self.again()
        except Exception as error:
            if "OperationalError" not in type(error).__name__:
                raise
            self.again()

    def again(self) -> None:
        self.connection = self.get_new_connection(self.get_connection_params())
        self._set_autocommit(False)
        self.connection.cursor().execute("SELECT 1")
        self.connection.commit()
