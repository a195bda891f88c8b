"""Broken: a statement that fails for a deadlock or serialization is sent again after a ROLLBACK, without its block."""

from __future__ import annotations

from typing import Any

from django.db import OperationalError
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful

AGAIN = ("40001", "40P01")


class Retrying(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except OperationalError as error:
            if (getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)) not in AGAIN:
                raise
            self.db.connection.rollback()
            return super().execute(sql, params)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Retrying(cursor, self)
