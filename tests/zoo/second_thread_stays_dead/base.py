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

    def close_if_unusable_or_obsolete(self) -> None:
        if self.connection is not None and self.errors_occurred and not self.is_usable():
            self.dead = threading.current_thread() is not threading.main_thread()
        super().close_if_unusable_or_obsolete()
