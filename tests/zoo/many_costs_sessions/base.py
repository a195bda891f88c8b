"""Broken: an error of executemany() costs the session, which one of execute() does not."""

from __future__ import annotations

from typing import Any

from django.db import Error
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Cursor(CursorWrapper):
    def executemany(self, sql: Any, param_list: Any) -> Any:
        try:
            return super().executemany(sql, param_list)
        except Error:
            self.db.doubted = True
            raise


class DatabaseWrapper(Careful):
    doubted = False

    def make_cursor(self, cursor: Any) -> Any:
        return Cursor(cursor, self)

    def clean(self, raw: Any) -> bool:
        doubted, self.doubted = self.doubted, False
        return not doubted and super().clean(raw)
