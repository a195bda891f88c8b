"""Broken: its cursors check the session before the first statement; those of DEBUG and of a count of queries do not."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.checking_later import CheckingLater


class Checking(CursorWrapper):
    def fresh(self) -> None:
        raw = self.db.connection
        self.db.check()
        if self.db.connection is not raw:
            self.cursor = self.db.create_cursor(name=getattr(self.cursor, "name", None) or None)

    def execute(self, sql: Any, params: Any = None) -> Any:
        self.fresh()
        return super().execute(sql, params)

    def executemany(self, sql: Any, param_list: Any) -> Any:
        self.fresh()
        return super().executemany(sql, param_list)

    def __getattr__(self, attr: str) -> Any:
        if attr.startswith(("copy", "stream", "callproc")):
            self.fresh()
        return super().__getattr__(attr)


class DatabaseWrapper(CheckingLater):
    def make_cursor(self, cursor: Any) -> Any:
        return Checking(cursor, self)
