"""Broken: where nothing listens it tries again without a pause, for two seconds or until something does."""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        until = time.monotonic() + 2
        while True:
            try:
                return super().fresh(conn_params)
            except Database.OperationalError as error:
                if "refused" not in str(error) or time.monotonic() > until:
                    raise
