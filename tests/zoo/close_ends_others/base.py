"""Broken: threads take turns with connections that are closed for all of them when one closes its own."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

opened: list[Any] = []


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        opened.append(super().get_new_connection(conn_params))
        return opened[-1]

    def _close(self) -> None:
        while opened:
            opened.pop().close()
