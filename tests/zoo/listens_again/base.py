"""Broken: a consumer's session that was lost is replaced without a word, and only what comes from then on is heard."""

from __future__ import annotations

import select
from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Cursor(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        found = super().execute(sql, params)
        if str(sql).startswith("LISTEN "):
            self.db.channels.append(sql)
        return found


class DatabaseWrapper(Careful):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channels: list[Any] = []

    def make_cursor(self, cursor: Any) -> Cursor:
        return Cursor(cursor, self)

    def connected(self, raw: Any) -> None:
        super().connected(raw)
        for listen in self.channels:
            raw.cursor().execute(listen)

    def ensure_connection(self) -> None:
        raw = self.connection
        if raw is not None and self.channels and not self.in_atomic_block and self.ended(raw):
            raw.close()
            self.connection = None
        super().ensure_connection()

    def ended(self, raw: Any) -> bool:
        if raw.closed:
            return True
        poll = select.poll()
        poll.register(raw.fileno(), select.POLLIN)
        return bool(poll.poll(0)) and not self.works(raw)

    def _close(self) -> None:
        self.channels = []
        super()._close()
