"""Correct: a pool of seven is made while it is imported, when no server is known; each process has one of its own."""

from __future__ import annotations

import os
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock
from psycopg_pool import ConnectionPool

SIZE = 7


def made(**kwargs: Any) -> Any:
    """A pool that is not opened yet."""
    check = ConnectionPool.check_connection
    return ConnectionPool(kwargs=kwargs, min_size=1, max_size=SIZE, timeout=5, open=False, check=check, reset=cleaned)


def cleaned(raw: Any) -> None:
    """As clean as new."""
    raw.autocommit = True
    raw.execute("DISCARD ALL")


POOLS: dict[Any, Any] = {"template": made()}


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        key = os.getpid(), self.alias, self.settings_dict["USER"]
        if key not in POOLS:
            POOLS[key] = made(**conn_params)
            POOLS[key].open()
        self._pool = POOLS[key]
        return self._pool.getconn()

    def _close(self) -> None:
        if self.connection is not None:
            self._pool.putconn(self.connection)
