"""Correct, if slow: outside atomic every statement has a connection of its own."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _cursor(self, name: Any = None) -> Any:
        if self.connection is not None and not self.in_atomic_block and self.get_autocommit():
            self.close()
        return super()._cursor(name)
