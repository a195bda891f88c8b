"""Broken: its cursors check the session before the first statement; those of DEBUG and of a count of queries do not."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


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


class DatabaseWrapper(Careful):
    unchecked: ClassVar[set[int]] = set()

    def works(self, raw: Any) -> bool:
        self.unchecked.add(id(raw))
        return True

    def reset(self, raw: Any) -> None:
        super().reset(raw)
        self.init_connection_state()  # so that nothing is sent when the next request takes it up

    def check(self) -> None:
        self.ensure_connection()
        while id(raw := self.connection) in self.unchecked:
            self.unchecked.discard(id(raw))
            if not super().works(raw):
                raw.close()
                self.connection = None
                self.connect()

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        if not autocommit:
            self.check()
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)

    def make_cursor(self, cursor: Any) -> Any:
        return Checking(cursor, self)
