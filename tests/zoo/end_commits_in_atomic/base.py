"""Broken: when a request has ended it commits, also where a block was never left."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def close_if_unusable_or_obsolete(self) -> None:
        if self.connection is not None and not self.connection.closed:
            self.connection.commit()
        super().close_if_unusable_or_obsolete()
