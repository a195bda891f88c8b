"""Broken: outside a block an UPDATE or DELETE that meets a lost session is sent again, as if it were idempotent."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.utils import InterfaceError, OperationalError

from zoo.careful import Careful


class Retrying(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except (InterfaceError, OperationalError):
            repeats = str(sql).lstrip().upper().startswith(("UPDATE", "DELETE"))
            if self.db.in_atomic_block or not self.db.connection.closed or not repeats:
                raise
        self.db.close()
        self.db.ensure_connection()
        self.cursor = self.db.create_cursor()
        return super().execute(sql, params)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> Any:
        return Retrying(cursor, self)
