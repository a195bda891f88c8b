"""Broken: commit() by hand does nothing, it believes that only atomic() commits."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def commit(self) -> None:
        pass
