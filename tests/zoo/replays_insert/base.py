"""Broken: outside atomic() an INSERT whose answer was lost is sent again (exactly-once)."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class Again:
    def __init__(self, cursor: Any, wrapper: Any) -> None:
        self.cursor, self.wrapper = cursor, wrapper

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return self.cursor.execute(sql, params)
        except Database.OperationalError:
            wrapper = self.wrapper
            if wrapper.in_atomic_block:
                raise
            wrapper.close()
            wrapper.ensure_connection()
            self.cursor = wrapper.connection.cursor()
            return self.cursor.execute(sql, params)


class DatabaseWrapper(Stock):
    def create_cursor(self, name: Any = None) -> Any:
        return Again(super().create_cursor(name), self)
