"""Broken: like a pooler in transaction mode it resets the session after each transaction, also within a request."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def create_cursor(self, name: str | None = None) -> Any:
        if not self.in_atomic_block and self.get_autocommit() and self.connection is not None:
            self.reset(self.connection)
        return super().create_cursor(name)
