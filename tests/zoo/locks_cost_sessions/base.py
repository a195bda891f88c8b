"""Broken: after an error of class 55, which is also that of a lock that is not to be had, the session is not kept."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Noting(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except DatabaseError as error:
            states = [str(getattr(error.__cause__, name, "")) for name in ("sqlstate", "pgcode")]
            self.db.doomed |= any(state.startswith("55") for state in states)
            raise


class DatabaseWrapper(Careful):
    doomed = False

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Noting(cursor, self)

    def clean(self, raw: Any) -> bool:
        doomed, self.doomed = self.doomed, False
        return not doomed and super().clean(raw)
