"""Correct, of psycopg 3 alone: a psycopg_pool for each process, which checks at checkout and resets at return."""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar

from django.db.utils import OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout

from zoo.careful import Careful


def reset(raw: Any) -> None:
    raw.rollback()
    raw.autocommit = True
    raw.execute("DISCARD ALL")


class DatabaseWrapper(Careful):
    pools: ClassVar[dict[Any, Any]] = {}
    making: ClassVar[Any] = threading.Lock()

    def pooled(self, conn_params: dict[str, Any]) -> Any:
        key = os.getpid(), self.alias
        with self.making:
            if key not in self.pools:
                kwargs = {name: value for name, value in conn_params.items() if name != "autocommit"}
                self.pools[key] = ConnectionPool(
                    kwargs={**kwargs, "autocommit": True},
                    min_size=0,
                    max_size=3,
                    timeout=2,
                    open=True,
                    check=ConnectionPool.check_connection,
                    reset=reset,
                )
        try:
            return self.pools[key].getconn()
        except PoolTimeout as error:
            raise OperationalError("the pool of three gave none within 2 s") from error

    def from_shelf(self) -> Any:
        return None

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        return self.pooled(conn_params)

    def _close(self) -> None:
        raw = self.connection
        if raw is None:
            return
        lease = vars(self.leases).get("held", {}).pop(id(raw), None)
        if lease is not None:
            lease.raw = None
        if not raw.closed and not (self.clean(raw)):
            raw.close()
        pool = self.pools.get((os.getpid(), self.alias))
        if pool is not None:
            pool.putconn(raw)


def renew() -> None:
    """In a forked child: the lock may be another thread's of the parent's, and the pools are the parent's."""
    DatabaseWrapper.making = threading.Lock()
    KEPT.extend(DatabaseWrapper.pools.values())
    DatabaseWrapper.pools.clear()


KEPT: list[Any] = []
os.register_at_fork(after_in_child=renew)
