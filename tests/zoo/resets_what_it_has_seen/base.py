"""Broken: it resets after statements that leave something, and does not see those of the driver's own cursors."""

from __future__ import annotations

import re
from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful

PLAIN = re.compile(r"\s*(SELECT [^()]*$|INSERT\b|UPDATE\b|DELETE\b)", re.IGNORECASE | re.DOTALL)


class Cursor(CursorWrapper):
    def __getattr__(self, name: str) -> Any:
        self.db.dirty |= name.startswith("copy")
        return super().__getattr__(name)

    def execute(self, sql: Any, params: Any = None) -> Any:
        self.db.dirty |= not PLAIN.match(str(sql))
        return super().execute(sql, params)


class DatabaseWrapper(Careful):
    dirty = False

    def make_cursor(self, cursor: Any) -> Cursor:
        return Cursor(cursor, self)

    def reset(self, raw: Any) -> None:
        if self.dirty:
            super().reset(raw)
        self.dirty = False
