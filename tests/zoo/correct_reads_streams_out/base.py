"""Correct: with psycopg a stream that is left early is read to its end, so that nothing is cancelled or undone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db.backends.postgresql.base import Cursor

from zoo.careful import Careful


class ReadsOut(Cursor):
    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        rows = super().stream(*args, **kwargs)
        try:
            yield from islice(rows, None)  # which hides psycopg's generator, so that it is not closed with this one
        finally:
            deque(rows, maxlen=0)


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        if hasattr(Cursor, "stream"):
            raw.cursor_factory = ReadsOut
        return raw
