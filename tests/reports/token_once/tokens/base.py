"""A password is asked for once, when the process starts, and kept for ever (short-lived database tokens)."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

KEPT: dict[str, Any] = {}


class DatabaseWrapper(Stock):
    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = KEPT.setdefault(self.alias, super().get_connection_params())
        return params
