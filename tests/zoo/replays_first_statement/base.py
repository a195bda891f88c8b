"""Broken: the first statement after a checkout is sent again where it was lost, as if the session had been stale."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class Again:
    def __init__(self, cursor: Any, wrapper: Any) -> None:
        self.cursor, self.wrapper = cursor, wrapper

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: str, params: Any = None) -> Any:
        first, self.wrapper.first = self.wrapper.first, False
        try:
            return self.cursor.execute(sql, params)
        except Database.OperationalError:
            if not first or self.wrapper.in_atomic_block or not self.wrapper.connection.closed:
                raise
            self.wrapper.close()
            self.wrapper.connect()
            self.cursor = self.wrapper.connection.cursor()
            return self.cursor.execute(sql, params)


class DatabaseWrapper(Careful):
    first = True

    def connect(self) -> None:
        super().connect()
        self.first = True

    def create_cursor(self, name: Any = None) -> Any:
        cursor = super().create_cursor(name)
        return cursor if name else Again(cursor, self)
