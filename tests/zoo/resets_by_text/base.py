"""Broken: it resets a session only when it has seen a statement that begins as those do that leave something."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

LEAVE = ("SET ", "RESET ", "CREATE TEMP", "LISTEN", "PREPARE", "SELECT PG_ADVISORY", "BEGIN", "DECLARE")


class DatabaseWrapper(Careful):
    dirty = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self.noting)

    def noting(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.dirty |= sql.upper().startswith(LEAVE)
        return execute(sql, params, many, context)

    def connect(self) -> None:
        super().connect()
        self.dirty = False

    def reset(self, raw: Any) -> None:
        if self.dirty:
            super().reset(raw)
