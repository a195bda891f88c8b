"""Broken: a SET that it has sent is not sent again, and a savepoint's rollback, which takes it back, is not heeded."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Cursor(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        sets = str(sql).startswith("SET ")
        if sets and sql == self.db.last:
            return None
        self.db.last = sql if sets else self.db.last
        return super().execute(sql, params)


class DatabaseWrapper(Careful):
    last: Any = None

    def connected(self, raw: Any) -> None:
        super().connected(raw)
        self.last = None

    def make_cursor(self, cursor: Any) -> Cursor:
        return Cursor(cursor, self)

    def _rollback(self) -> None:
        super()._rollback()
        self.last = None
