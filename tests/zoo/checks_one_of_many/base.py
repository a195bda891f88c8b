"""Broken: a pool that, when one idle connection has failed its check, hands out the next one unchecked."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.keeper import Keeper

idle: list[Any] = []


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not idle:
            return Stock.get_new_connection(self, conn_params)
        raw = idle.pop()
        if self.works(raw):
            return raw
        return idle.pop() if idle else Stock.get_new_connection(self, conn_params)

    def hand_back(self, raw: Any) -> None:
        if raw.info.transaction_status == 0:
            idle.append(raw)
        else:
            raw.close()
