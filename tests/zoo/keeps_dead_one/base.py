"""Broken: a connection that fails the check stays where it is, and the check's error is everybody's."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = getattr(self.kept, "raw", None)
        if raw is not None:
            raw.cursor().execute("SELECT 1")
            self.kept.raw = None
            return raw
        return super().get_new_connection(conn_params)
