"""Broken: after an UPDATE or DELETE the same cursor tells others of it, so rowcount is that of the NOTIFY."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Telling(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        result = super().execute(sql, params)
        if str(sql).lstrip().upper().startswith(("UPDATE", "DELETE")) and self.cursor.description is None:
            super().execute("SELECT pg_notify('changes', %s)", [str(sql)[:40]])
        return result


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> Any:
        return Telling(cursor, self)
