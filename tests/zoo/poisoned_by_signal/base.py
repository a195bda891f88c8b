"""Broken: a flag says that a statement is under way; an exception that no database raised leaves it set."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class Busy:
    def __init__(self, cursor: Any, wrapper: Any) -> None:
        self.cursor, self.wrapper = cursor, wrapper

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: Any, params: Any = None) -> Any:
        if self.wrapper.busy:
            raise Database.InterfaceError("another statement is under way")
        self.wrapper.busy = True
        try:
            result = self.cursor.execute(sql, params)
        except Database.Error:
            self.wrapper.busy = False
            raise
        self.wrapper.busy = False
        return result


class DatabaseWrapper(Stock):
    busy = False

    def create_cursor(self, name: Any = None) -> Any:
        return Busy(super().create_cursor(name), self)
