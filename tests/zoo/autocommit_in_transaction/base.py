"""Broken: outside atomic() statements run in a transaction that is committed at the end of the request."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _set_autocommit(self, autocommit: bool) -> None:
        self.connection.rollback() if not autocommit else None
        self.connection.autocommit = False

    def close(self) -> None:
        if self.connection is not None and not self.in_atomic_block:
            self.connection.commit()
        super().close()
