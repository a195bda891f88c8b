"""Broken: a refused connection opens a circuit breaker, which nothing closes for a minute."""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    until = 0.0

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if time.monotonic() < DatabaseWrapper.until:
            raise Database.OperationalError("the circuit is open")
        try:
            return super().get_new_connection(conn_params)
        except Database.OperationalError:
            DatabaseWrapper.until = time.monotonic() + 60
            raise
