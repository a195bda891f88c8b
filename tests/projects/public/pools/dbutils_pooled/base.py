"""DBUtils' PooledDB with its defaults: no maximum, a ping at checkout, a rollback at return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dbutils.pooled_db import PooledDB
from django.db.backends.postgresql.base import Database

from pools.shared import Pooled


class DatabaseWrapper(Pooled):
    def make_pool(self, connect: Callable[[], Any]) -> Any:
        connect.dbapi, connect.threadsafety = Database, Database.threadsafety
        return PooledDB(connect)

    def take(self, pool: Any) -> Any:
        return pool.connection()

    def raw(self, taken: Any) -> Any:
        return taken.dbapi_connection
