"""DBUtils' PersistentDB with its defaults: a session for each thread, and statements that are tried again.

Django's statements go through DBUtils' cursors, and a block is announced by begin(), as the documentation asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dbutils.persistent_db import PersistentDB
from django.db.backends.postgresql.base import Database

from pools.shared import Pooled

OWN = ("cursor", "commit", "rollback", "close")


class Through:
    """Statements go by DBUtils; all else is the driver's connection's."""

    def __init__(self, steady: Any) -> None:
        vars(self)["steady"] = steady

    def __getattr__(self, name: str) -> Any:
        return getattr(self.steady if name in OWN else self.steady.dbapi_connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.steady.dbapi_connection, name, value)


class DatabaseWrapper(Pooled):
    def make_pool(self, connect: Callable[[], Any]) -> Any:
        def ready() -> Any:
            raw = connect()
            raw.autocommit = True
            return raw

        ready.dbapi, ready.threadsafety = Database, Database.threadsafety
        return PersistentDB(ready)

    def take(self, pool: Any) -> Any:
        return pool.connection()

    def raw(self, taken: Any) -> Any:
        return Through(taken)

    def _set_autocommit(self, autocommit: bool) -> None:
        if not autocommit:
            self.taken.begin()
        super()._set_autocommit(autocommit)
