"""Broken: an error while rows of a cursor in the server are fetched costs the session."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Named(CursorWrapper):
    def fetchmany(self, *args: Any) -> Any:
        try:
            return self.cursor.fetchmany(*args)
        except Database.Error:
            self.db.doubted = True
            with self.db.wrap_database_errors:
                raise


class DatabaseWrapper(Careful):
    doubted = False

    def make_cursor(self, cursor: Any) -> Any:
        return Named(cursor, self) if getattr(cursor, "name", None) else super().make_cursor(cursor)

    def clean(self, raw: Any) -> bool:
        doubted, self.doubted = self.doubted, False
        return not doubted and super().clean(raw)
