"""Broken: one connection for all threads at the same time."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    shared: Any = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if DatabaseWrapper.shared is None or DatabaseWrapper.shared.closed:
            DatabaseWrapper.shared = super().get_new_connection(conn_params)
        return DatabaseWrapper.shared

    def _close(self) -> None:
        pass
