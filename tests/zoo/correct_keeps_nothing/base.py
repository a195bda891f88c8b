"""Correct: a pool with a maximum of four that keeps no session, and hands one on only to a request that waits."""

from __future__ import annotations

from typing import Any

from psycopg_pool import NullConnectionPool

from zoo.correct_own_pool.base import DatabaseWrapper as OwnPool


class DatabaseWrapper(OwnPool):
    def pool(self, conn_params: dict[str, Any]) -> Any:
        return NullConnectionPool(kwargs=conn_params, max_size=4, timeout=5, open=True, reset=self._reset)
