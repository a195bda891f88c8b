"""Correct: its close() is its own and means what Django's means."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def close(self) -> None:
        super().close()
