"""Broken: while the server refuses it tries again for half a minute, and the request waits."""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        until = time.monotonic() + 30
        while True:
            try:
                return super().get_new_connection(conn_params)
            except Database.OperationalError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)
