"""Broken: an error in a block rolls it back at once, and what the block goes on with is in autocommit, and stays."""

from __future__ import annotations

from typing import Any

from django.db import Error
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Ending(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except Error:
            raw = self.db.connection
            if self.db.in_atomic_block and not self.db.savepoint_ids and raw is not None and not raw.closed:
                raw.rollback()
                raw.autocommit = True
            raise


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Ending(cursor, self)
