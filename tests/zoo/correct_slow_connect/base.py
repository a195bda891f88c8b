"""Correct: connecting takes 300 ms."""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        time.sleep(0.3)
        return raw
