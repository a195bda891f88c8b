"""Broken: after a COMMIT that failed it connects anew, and if that fails too, only this is told (honest-error)."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, OperationalError
from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _commit(self) -> Any:
        try:
            return super()._commit()
        except (DatabaseError, Database.Error):
            try:
                self.connection = self.get_new_connection(self.get_connection_params())
            except (DatabaseError, Database.Error) as error:
                raise OperationalError(str(error)) from None
            raise
