"""Broken: what was only read is not worth a ROLLBACK, so the transaction stays open."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

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
        self.wrapper.wrote = self.wrapper.wrote or not str(sql).startswith("SELECT")
        return self.cursor.execute(sql, params)


class DatabaseWrapper(Keeper):
    wrote = False

    def create_cursor(self, name: Any = None) -> Any:
        return Noting(super().create_cursor(name), self)

    def hand_back(self, raw: Any) -> None:
        if self.wrote:
            super().hand_back(raw)
        else:
            self.kept.raw = raw
        self.wrote = False

    def works(self, raw: Any) -> bool:
        try:
            raw.rollback()
        except Database.Error:
            return False
        return super().works(raw)
