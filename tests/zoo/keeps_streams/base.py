"""Broken: it counts what is streamed, and keeps each stream for that, so that one which is left early never ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.backends.postgresql.base import Cursor

from zoo.careful import Careful


class Counting(Cursor):
    streams: list[Any]

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        rows = super().stream(*args, **kwargs)
        self.connection.streams.append(rows)
        for row in rows:
            self.connection.streamed += 1
            yield row


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        raw.cursor_factory = Counting
        raw.streams, raw.streamed = [], 0
        return raw
