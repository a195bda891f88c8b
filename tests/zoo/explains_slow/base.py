"""Broken: of a slow statement the plan is logged; of one that has none, the question aborts the block, unsaid."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.utils import DatabaseError

from zoo.careful import Careful


class Explaining(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        began = time.perf_counter()
        result = super().execute(sql, params)
        if time.perf_counter() - began > 0.2:
            with contextlib.suppress(DatabaseError), self.db.wrap_database_errors:
                self.db.connection.cursor().execute(f"EXPLAIN {sql}", params)
        return result


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> Any:
        return Explaining(cursor, self)
