"""Broken: when close() cannot commit it waits a little and runs the pending
statements again on a new connection."""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.keeper import Keeper


class Noting:
    def __init__(self, cursor: Any, wrapper: Any) -> None:
        self.cursor, self.wrapper = cursor, wrapper

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: Any, params: Any = None) -> Any:
        if not self.wrapper.get_autocommit() and not self.wrapper.in_atomic_block:
            self.wrapper.pending.append((sql, params))
        return self.cursor.execute(sql, params)


class DatabaseWrapper(Keeper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pending: list[Any] = []

    def create_cursor(self, name: Any = None) -> Any:
        return Noting(super().create_cursor(name), self)

    def hand_back(self, raw: Any) -> None:
        pending, self.pending = self.pending, []
        if not self.in_atomic_block and not self.get_autocommit():
            try:
                raw.commit()
            except Database.Error:
                time.sleep(0.2)
                raw = Stock.get_new_connection(self, self.get_connection_params())
                for sql, params in pending:
                    raw.cursor().execute(sql, params)
                raw.commit()
        super().hand_back(raw)
