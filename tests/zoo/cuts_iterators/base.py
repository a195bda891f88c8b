"""Broken: a server-side cursor hands out one chunk, and then says that this was all."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class OneChunk:
    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        self.over = False

    def fetchmany(self, size: int) -> Any:
        rows = [] if self.over else self.cursor.fetchmany(size)
        self.over = True
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> OneChunk:
        return self

    def __exit__(self, *raised: object) -> None:
        self.cursor.close()


class DatabaseWrapper(Stock):
    def chunked_cursor(self) -> Any:
        return OneChunk(super().chunked_cursor())
