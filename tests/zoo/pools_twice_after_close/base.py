"""Broken: close() by hand and the request's end both hand the connection back."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.keeper import Keeper

idle: list[Any] = []


class DatabaseWrapper(Keeper):
    last: Any = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        while idle:
            self.last = idle.pop()
            if self.works(self.last):
                return self.last
        self.last = Stock.get_new_connection(self, conn_params)
        return self.last

    def hand_back(self, raw: Any) -> None:
        raw.rollback()
        idle.append(raw)

    def close_if_unusable_or_obsolete(self) -> None:
        if self.connection is None and self.last is not None:
            idle.append(self.last)
        super().close_if_unusable_or_obsolete()
        self.last = None
