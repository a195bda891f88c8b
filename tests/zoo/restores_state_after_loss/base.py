"""Broken: a session in the place of a lost one gets what was SET on that, whichever request had wanted it."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Noting(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        result = super().execute(sql, params)
        if str(sql).upper().startswith("SET "):
            self.db.was_set.append((sql, params))
        return result


class DatabaseWrapper(Careful):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.was_set: list[Any] = []

    def make_cursor(self, cursor: Any) -> Any:
        return Noting(cursor, self)

    def connected(self, raw: Any) -> None:
        super().connected(raw)
        for sql, params in self.was_set:
            raw.cursor().execute(sql, params)

    def clean(self, raw: Any) -> bool:
        done = super().clean(raw)
        if done:
            self.was_set = []
        return done
