"""Broken: the process ends when a connection is lost."""

from __future__ import annotations

import os

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def is_usable(self) -> bool:
        if not super().is_usable():
            os._exit(3)
        return True
