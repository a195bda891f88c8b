"""Broken: executemany() does not wait until the log is on disk, not in a block either."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Loading(CursorWrapper):
    def executemany(self, sql: Any, param_list: Any) -> Any:
        self.cursor.execute("SET synchronous_commit = off")
        try:
            return super().executemany(sql, param_list)
        finally:
            if not self.db.in_atomic_block:
                self.cursor.execute("RESET synchronous_commit")


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> Loading:
        return Loading(cursor, self)
