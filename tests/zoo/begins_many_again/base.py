"""Broken: outside a block an executemany() that meets a lost session begins again with its first row."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.utils import InterfaceError, OperationalError

from zoo.careful import Careful


class Retrying(CursorWrapper):
    def executemany(self, sql: Any, param_list: Any) -> Any:
        rows = list(param_list)
        try:
            return super().executemany(sql, rows)
        except (InterfaceError, OperationalError):
            if self.db.in_atomic_block or not self.db.connection.closed:
                raise
        self.db.close()
        self.db.ensure_connection()
        self.cursor = self.db.create_cursor()
        return super().executemany(sql, rows)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> Any:
        return Retrying(cursor, self)
