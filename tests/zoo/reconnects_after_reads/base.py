"""Broken: it thinks that a block which has only read may go on with another connection."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class Watching:
    def __init__(self, cursor: Any, wrapper: Any) -> None:
        self.cursor, self.wrapper = cursor, wrapper

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __iter__(self) -> Any:
        return iter(self.cursor)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: Any, params: Any = None) -> Any:
        if not str(sql).startswith(("SELECT", "SAVEPOINT")):
            self.wrapper.wrote = True
        return self.cursor.execute(sql, params)


class DatabaseWrapper(Stock):
    wrote = False

    def create_cursor(self, name: Any = None) -> Any:
        if not self.in_atomic_block:
            self.wrote = False
        elif not self.wrote and not self.is_usable():
            self.connection = self.get_new_connection(self.get_connection_params())
            self._set_autocommit(False)
        return Watching(super().create_cursor(name), self)
