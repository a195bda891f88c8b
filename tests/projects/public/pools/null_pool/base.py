"""psycopg_pool's NullConnectionPool: four sessions at most, of which none is kept unless a client waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg_pool import NullConnectionPool

from pools.shared import Pooled


class DatabaseWrapper(Pooled):
    def make_pool(self, connect: Callable[[], Any]) -> Any:
        return NullConnectionPool(kwargs=self.get_connection_params(), max_size=4, open=True)

    def take(self, pool: Any) -> Any:
        self.owner = pool
        return pool.getconn()

    def give(self, taken: Any) -> None:
        self.owner.putconn(taken)
