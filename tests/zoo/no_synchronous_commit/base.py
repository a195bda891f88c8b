"""Broken: it turns synchronous_commit off, so that a crash takes back what was acknowledged."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        raw.autocommit = True
        raw.cursor().execute("SET synchronous_commit = off")
        return raw
