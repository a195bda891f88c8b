"""Broken: it keeps connections by the name of the thread, and names are not unique."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.keeper import Keeper


class Names(dict[str, Any]):
    @property
    def raw(self) -> Any:
        return self.get(threading.current_thread().name)

    @raw.setter
    def raw(self, raw: Any) -> None:
        self[threading.current_thread().name] = raw


names = Names()


class DatabaseWrapper(Keeper):
    kept = names

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = names.raw
        if raw is None or not self.works(raw):
            raw = names.raw = Stock.get_new_connection(self, conn_params)
        return raw
