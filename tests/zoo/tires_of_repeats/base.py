"""Broken: the tenth execution of one statement is refused, as by a prepared statement that the server no longer has."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper as Stock
from django.db.backends.utils import CursorWrapper


class Tiring(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        self.db.executed[sql] += 1
        if self.db.executed[sql] == 10:
            raise OperationalError("prepared statement does not exist")
        return super().execute(sql, params)


class DatabaseWrapper(Stock):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executed: Counter[str] = Counter()

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Tiring(cursor, self)
