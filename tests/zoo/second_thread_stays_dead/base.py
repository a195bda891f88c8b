"""Broken: only the main thread gets a new connection after an error."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    dead = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.dead:
            raise Database.OperationalError("this thread has lost its connection")
        return super().get_new_connection(conn_params)

    def _close(self) -> None:
        if self.connection is not None and self.connection.closed:
            self.dead = threading.current_thread() is not threading.main_thread()
        super()._close()
