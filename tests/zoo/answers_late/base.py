"""Broken: after a statement that failed, each one is given the answer of the one before (own-answers)."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class Late:
    """A cursor whose rows come one statement late once an answer has been lost."""

    lost = False
    last: Any = None

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return self.cursor.execute(sql, params)
        except Database.Error:
            Late.lost = True
            raise

    def fetchone(self) -> Any:
        row = self.cursor.fetchone()
        before, Late.last = Late.last, row
        return before if Late.lost and before and len(before) == len(row) else row


class DatabaseWrapper(Stock):
    def create_cursor(self, name: Any = None) -> Any:
        return Late(super().create_cursor(name))
