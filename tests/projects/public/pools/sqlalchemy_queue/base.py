"""SQLAlchemy's QueuePool with its defaults: five sessions, ten more at need, rolled back at return, not checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.pool import QueuePool

from pools.shared import Pooled


class DatabaseWrapper(Pooled):
    def make_pool(self, connect: Callable[[], Any]) -> Any:
        return QueuePool(connect)

    def take(self, pool: Any) -> Any:
        return pool.connect()

    def raw(self, taken: Any) -> Any:
        return taken.dbapi_connection
