"""Broken: one connection and a lock that an atomic block holds; who writes outside one does not ask for it."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

lock = threading.RLock()


class DatabaseWrapper(Stock):
    shared: Any = None
    mine = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if DatabaseWrapper.shared is None or DatabaseWrapper.shared.closed:
            DatabaseWrapper.shared = super().get_new_connection(conn_params)
        return DatabaseWrapper.shared

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        if not autocommit and not self.mine:
            lock.acquire()
            self.mine = True
        try:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        finally:
            if autocommit and self.mine:
                self.mine = False
                lock.release()

    def _close(self) -> None:
        pass
