"""Broken: execute() has a deadline, executemany() has none."""

from __future__ import annotations

from typing import Any

from backend_under_test.persistent_core.cursor import LeasedCursor
from backend_under_test.persistent_threadlocal.base import DatabaseWrapper as Persistent


class Cursor(LeasedCursor):
    def executemany(self, sql: Any, param_list: Any) -> Any:
        with self.db.query_deadline(None):
            return super().executemany(sql, param_list)


class DatabaseWrapper(Persistent):
    def make_cursor(self, cursor: Any) -> Any:
        made = super().make_cursor(cursor)
        return Cursor(cursor, self) if type(made) is LeasedCursor else made
