"""Broken: it takes the end of the connection for the end of the rows."""

from __future__ import annotations

from typing import Any

from django.db.utils import Error

from zoo.careful import Careful


class Forgiving:
    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def fetchmany(self, size: int) -> Any:
        try:
            return self.cursor.fetchmany(size)
        except Error:
            return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Forgiving:
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            self.cursor.close()
        except Error:
            pass


class DatabaseWrapper(Careful):
    def chunked_cursor(self) -> Any:
        return Forgiving(super().chunked_cursor())
