"""Correct: a pool of the ENGINE's own, with more sessions than requests; nothing in the settings names its size."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock
from psycopg_pool import ConnectionPool

_pools: dict[tuple[Any, ...], Any] = {}
"""By process, too: those of the parent stay here, and are neither used nor collected."""
_guard = {"lock": threading.Lock()}
os.register_at_fork(after_in_child=lambda: _guard.update(lock=threading.Lock()))


class DatabaseWrapper(Stock):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        names = ("NAME", "USER", "HOST", "PORT")
        key = (os.getpid(), self.alias, *(self.settings_dict[name] for name in names))
        with _guard["lock"]:
            if key not in _pools:
                _pools[key] = self.pool(conn_params)
        self._pool = _pools[key]
        return self._pool.getconn()

    def pool(self, conn_params: dict[str, Any]) -> Any:
        """One that is opened at once."""
        return ConnectionPool(
            kwargs=conn_params,
            min_size=2,
            max_size=4,
            timeout=5,
            open=True,
            check=ConnectionPool.check_connection,
            reset=self._reset,
        )

    def _close(self) -> None:
        if self.connection is not None:
            self._pool.putconn(self.connection)

    @staticmethod
    def _reset(conn: Any) -> None:
        conn.autocommit = True
        conn.execute("DISCARD ALL")
