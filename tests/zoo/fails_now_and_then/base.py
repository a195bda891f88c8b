"""Broken: every fifth statement of a process is refused by the backend itself."""

from __future__ import annotations

from typing import Any

from django.db import OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    number = 0

    def _cursor(self, name: Any = None) -> Any:
        DatabaseWrapper.number += 1
        if DatabaseWrapper.number % 5 == 0:
            raise OperationalError("not now")
        return super()._cursor(name)
