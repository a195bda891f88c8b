"""Broken: the process ends with the first connection that it makes."""

from __future__ import annotations

import os
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        os._exit(4)
