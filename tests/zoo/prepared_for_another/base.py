"""Broken: what it has prepared it remembers by wrapper, and a session that takes a lost one's place has none of it."""

from __future__ import annotations

from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful

OFTEN = 3


class Preparing(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        if params is None or [type(each) for each in params] != [int] or not str(sql).startswith("SELECT"):
            return super().execute(sql, params)
        times, names = self.db.times, self.db.names
        times[sql] = times.get(sql, 0) + 1
        if times[sql] <= OFTEN:
            return super().execute(sql, params)
        if sql not in names:
            names[sql] = f"often_{len(names)}"
            super().execute(f"PREPARE {names[sql]}(integer) AS {sql.replace('%s', '$1')}")
        return super().execute(f"EXECUTE {names[sql]}({params[0]})")


class DatabaseWrapper(Careful):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.times: dict[str, int] = {}
        self.names: dict[str, str] = {}

    def reset(self, raw: Any) -> None:
        """All but what is prepared."""
        raw.cursor().execute("RESET ALL")
        raw.cursor().execute("RESET ROLE")

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Preparing(cursor, self)
