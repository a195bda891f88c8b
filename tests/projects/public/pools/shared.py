"""What the ENGINEs over a pool library have in common: one pool for each alias and process, made when first wanted."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

_pools: dict[tuple[Any, ...], Any] = {}
"""By process, too: those of the parent stay here, and are neither used nor collected in its children."""
_guard = {"lock": threading.Lock()}
os.register_at_fork(after_in_child=lambda: _guard.update(lock=threading.Lock()))


class Pooled(Stock):
    """Django's backend, whose driver's connections come from a pool's `take` and go back by `give`."""

    taken: Any = None
    """What the pool has handed out."""

    def make_pool(self, connect: Callable[[], Any]) -> Any:
        """A pool with the library's defaults."""
        raise NotImplementedError

    def take(self, pool: Any) -> Any:
        """Something of the pool's; `raw` gives the driver's connection of it."""
        raise NotImplementedError

    def raw(self, taken: Any) -> Any:
        return taken

    def give(self, taken: Any) -> None:
        taken.close()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        key = (os.getpid(), self.alias)
        with _guard["lock"]:
            if key not in _pools:
                maker = self.copy()
                _pools[key] = self.make_pool(lambda: Stock.get_new_connection(maker, conn_params))
        self.taken = self.take(_pools[key])
        return self.raw(self.taken)

    def _close(self) -> None:
        taken, self.taken = self.taken, None
        if taken is not None:
            with self.wrap_database_errors:
                self.give(taken)
