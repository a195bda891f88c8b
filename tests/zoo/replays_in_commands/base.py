"""Broken: outside of requests, in commands and workers, a statement whose answer was lost is sent again."""

from __future__ import annotations

from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful
from zoo.here import here


class Again(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except (OperationalError, InterfaceError):
            if here.in_request or self.db.in_atomic_block:
                raise
            self.db.close()
            self.db.ensure_connection()
            self.cursor = self.db.connection.cursor()
            return super().execute(sql, params)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Again(cursor, self)
