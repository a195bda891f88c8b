"""Broken: whatever keeps it from connecting, it says the same (honest-error)."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, OperationalError
from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().get_new_connection(conn_params)
        except (DatabaseError, Database.Error):
            raise OperationalError("the database is unavailable") from None
