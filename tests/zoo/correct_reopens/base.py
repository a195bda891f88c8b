"""Correct, if slow: outside atomic every statement has a connection of its own."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    connecting = False

    def connect(self) -> None:
        self.connecting = True
        try:
            super().connect()
        finally:
            self.connecting = False

    def _cursor(self, name: Any = None) -> Any:
        free = self.connection is not None and not self.in_atomic_block and not self.connecting
        if free and self.get_autocommit():
            self.close()
        return super()._cursor(name)
