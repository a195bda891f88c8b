"""Broken: it says that it keeps connections, and opens one for every request."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.kept.raw = None
        return super().get_new_connection(conn_params)
