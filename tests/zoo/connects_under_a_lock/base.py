"""Broken: one lock for all threads is held while a session is opened, for 3 s each where the server is silent."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    _lock = threading.Lock()

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "connect_timeout": 3}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        with self._lock:
            return super().get_new_connection(conn_params)
