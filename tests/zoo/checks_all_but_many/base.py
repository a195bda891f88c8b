"""Broken: a kept session is looked at when its request first sends something, but not where that is executemany()."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful, Lease


class Cursor(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        if self.db.look():
            self.cursor = self.db.create_cursor()
        return super().execute(sql, params)


class DatabaseWrapper(Careful):
    unseen = False

    def works(self, raw: Any) -> bool:
        """To be seen later."""
        self.unseen = True
        return True

    def look(self) -> bool:
        """Whether the session was dead, and there is a new one."""
        unseen, self.unseen = self.unseen, False
        if not unseen or super().works(self.connection):
            return False
        self.connection.close()
        self.connection = self.fresh(self.get_connection_params())
        self.connection.autocommit = True
        vars(self.leases).setdefault("held", {})[id(self.connection)] = Lease(self.connection)
        return True

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        if not autocommit:
            self.ensure_connection()
            self.look()
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)

    def _cursor(self, name: str | None = None) -> Any:
        self.ensure_connection()
        if name is not None or self.queries_logged:
            self.look()
        return super()._cursor(name)

    def make_cursor(self, cursor: Any) -> Any:
        return super().make_cursor(cursor) if getattr(cursor, "name", None) else Cursor(cursor, self)
