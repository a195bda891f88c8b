"""A cursor that sends again, on a new session and outside of blocks, what has met a lost one; rows differ in what."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.utils import InterfaceError, OperationalError

from zoo.careful import Careful


class SendsAgain(CursorWrapper):
    words: tuple[str, ...] = ()
    """With which the statements begin that are sent again."""
    many = False
    """Whether an executemany() begins again with its first row."""

    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except (InterfaceError, OperationalError):
            if not self.lost() or not str(sql).lstrip().upper().startswith(self.words):
                raise
        self.replace()
        return super().execute(sql, params)

    def executemany(self, sql: Any, param_list: Any) -> Any:
        rows = list(param_list)
        try:
            return super().executemany(sql, rows)
        except (InterfaceError, OperationalError):
            if not self.lost() or not self.many:
                raise
        self.replace()
        return super().executemany(sql, rows)

    def lost(self) -> bool:
        return bool(not self.db.in_atomic_block and self.db.connection.closed)

    def replace(self) -> None:
        self.db.close()
        self.db.ensure_connection()
        self.cursor = self.db.create_cursor()


class SendingAgain(Careful):
    cursors: type[SendsAgain] = SendsAgain

    def make_cursor(self, cursor: Any) -> Any:
        return self.cursors(cursor, self)
