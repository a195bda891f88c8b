"""Broken: it commits after every third statement of a block, to keep transactions short."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    statements = 0

    def create_cursor(self, name: Any = None) -> Any:
        if self.in_atomic_block:
            self.statements += 1
            if self.statements % 3 == 0:
                self.connection.commit()
        else:
            self.statements = 0
        return super().create_cursor(name)
