"""Broken: outside a block, what begins with SELECT or WITH and meets a lost session is sent again on a new one."""

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
            reads = str(sql).lstrip().upper().startswith(("SELECT", "WITH"))
            if self.db.in_atomic_block or not self.db.connection.closed or not reads:
                raise
        self.db.close()
        self.db.ensure_connection()
        self.cursor = self.db.create_cursor()
        return super().execute(sql, params)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> Any:
        return Retrying(cursor, self)
