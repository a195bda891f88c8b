"""Correct: one session is opened at a time, and who waits for its turn gives up in time."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    _lock = threading.Lock()

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "connect_timeout": 3}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not self._lock.acquire(timeout=4):
            raise Database.OperationalError("no session was opened in time")
        try:
            return super().get_new_connection(conn_params)
        finally:
            self._lock.release()
