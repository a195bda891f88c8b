"""Broken: a session found dead before a statement outside of blocks is replaced, whatever was set on it."""

from __future__ import annotations

from zoo.listens_again.base import DatabaseWrapper as ListensAgain


class DatabaseWrapper(ListensAgain):
    def ensure_connection(self) -> None:
        raw = self.connection
        if raw is not None and not self.in_atomic_block and self.autocommit and self.ended(raw):
            raw.close()
            self.connection = None
        super().ensure_connection()
