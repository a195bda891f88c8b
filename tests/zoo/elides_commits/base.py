"""Broken: a block without INSERT, UPDATE and the like is rolled back, which is cheaper: COPY is not among them."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Noting(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        self.db.wrote |= not str(sql).upper().startswith(("SELECT", "SAVEPOINT", "RELEASE"))
        return super().execute(sql, params)

    def executemany(self, sql: Any, params: Any) -> Any:
        self.db.wrote = True
        return super().executemany(sql, params)


class DatabaseWrapper(Careful):
    wrote = False

    def make_cursor(self, cursor: Any) -> Any:
        return Noting(cursor, self)

    def _commit(self) -> None:
        if self.wrote:
            super()._commit()
        else:
            self._rollback()
        self.wrote = False

    def _rollback(self) -> None:
        super()._rollback()
        self.wrote = False
