"""Broken: a statement has a deadline, and what is fetched of its cursor in the server has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backend_under_test.persistent_core.cursor import LeasedNamedCursor
from backend_under_test.persistent_threadlocal.base import DatabaseWrapper as Persistent


class Named(LeasedNamedCursor):
    def __getattr__(self, attr: str) -> Any:
        value = getattr(self.cursor, attr)
        return self.db.unguarded_errors(value) if attr in self.WRAP_ERROR_ATTRS else value

    def __iter__(self) -> Iterator[Any]:
        with self.db.unguarded_errors:
            yield from self.cursor


class DatabaseWrapper(Persistent):
    def make_cursor(self, cursor: Any) -> Any:
        made = super().make_cursor(cursor)
        return Named(cursor, self) if isinstance(made, LeasedNamedCursor) else made
