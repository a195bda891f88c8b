"""Broken: every request opens a spare connection that nobody uses or closes."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.keeper import Keeper

spares: list[Any] = []


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        spares.append(Stock.get_new_connection(self, conn_params))
        return super().get_new_connection(conn_params)
