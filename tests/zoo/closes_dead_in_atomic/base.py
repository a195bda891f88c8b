"""Broken: when a statement inside atomic() finds the connection dead it reconnects for the next one."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class Watching:
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
        except (Database.OperationalError, Database.InterfaceError):
            if self.wrapper.in_atomic_block:
                self.wrapper.connection = self.wrapper.get_new_connection(self.wrapper.get_connection_params())
                self.wrapper._set_autocommit(False)
            raise


class DatabaseWrapper(Stock):
    def create_cursor(self, name: Any = None) -> Any:
        return Watching(super().create_cursor(name), self)
