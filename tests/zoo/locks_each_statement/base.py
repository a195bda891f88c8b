"""Broken: one connection and a lock that each statement holds: between two, another thread's may come."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

lock = threading.RLock()


class Locked:
    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def execute(self, sql: Any, params: Any = None) -> Any:
        with lock:
            return self.cursor.execute(sql, params)


class DatabaseWrapper(Stock):
    shared: Any = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        with lock:
            if DatabaseWrapper.shared is None or DatabaseWrapper.shared.closed:
                DatabaseWrapper.shared = super().get_new_connection(conn_params)
            return DatabaseWrapper.shared

    def create_cursor(self, name: Any = None) -> Any:
        return Locked(super().create_cursor(name))

    def _close(self) -> None:
        pass
