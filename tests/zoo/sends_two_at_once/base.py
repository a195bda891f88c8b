"""Broken: who asks is told to the server with each statement, which makes one transaction of the two."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Prefixing(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        first = str(sql).lstrip().partition(" ")[0].upper()
        if first in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CALL", "VACUUM", "REINDEX") and (
            not self.db.in_atomic_block and not getattr(self.cursor, "name", None)
        ):
            sql = f"SELECT set_config('app.asks', '{threading.get_ident()}', true); {sql}"
        return super().execute(sql, params)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> Any:
        return Prefixing(cursor, self)
