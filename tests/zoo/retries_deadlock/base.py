"""Broken: the victim of a deadlock is sent again after a ROLLBACK, without its block; nothing else is."""

from __future__ import annotations

from typing import Any

from django.db import OperationalError
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Retrying(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except OperationalError as error:
            if "40P01" not in (getattr(error.__cause__, name, None) for name in ("sqlstate", "pgcode")):
                raise
            self.db.connection.rollback()
            return super().execute(sql, params)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Retrying(cursor, self)
