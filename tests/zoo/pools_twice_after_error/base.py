"""Broken: after an error a pool gets its connection back twice, and hands it out twice."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.keeper import Keeper

idle: list[Any] = []


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        while idle:
            raw = idle.pop()
            if self.works(raw):
                return raw
        return Stock.get_new_connection(self, conn_params)

    def hand_back(self, raw: Any) -> None:
        try:
            raw.rollback()
        except Database.Error:
            raw.close()
        else:
            idle.append(raw)

    def is_usable(self) -> bool:
        usable = super().is_usable()
        if usable and self.errors_occurred:
            idle.append(self.connection)
        return usable
