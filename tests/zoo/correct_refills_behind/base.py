"""Correct: a thread keeps two sessions idle for each alias beside those in use, and closes what is idle beyond four.

So does HikariCP with its minimumIdle. The thread looks every 0.2 s, and at once when a session has been taken.
"""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar

from django.db.utils import Error

from zoo.careful import Careful

IDLE, MOST, EVERY = 2, 4, 0.2


class DatabaseWrapper(Careful):
    taken: ClassVar[dict[Any, threading.Event]] = {}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        key = os.getpid(), self.alias
        with self.lock:
            first = key not in self.taken
            taken = self.taken.setdefault(key, threading.Event())
        if first:
            threading.Thread(target=self.copy().refill, args=(taken,), name="refill", daemon=True).start()
        taken.set()
        return raw

    def refill(self, taken: threading.Event) -> None:
        """The thread; the wrapper is a copy of its own."""
        while True:
            taken.wait(EVERY)
            taken.clear()
            while len(self.shelf) < IDLE and (raw := self.spare()) is not None:
                with self.lock:
                    self.shelf.append(raw)
            with self.lock:
                surplus = [self.shelf.pop(0) for _ in range(len(self.shelf) - MOST)]
            for raw in surplus:
                raw.close()

    def spare(self) -> Any:
        """A new session, None where there is none to be had now."""
        try:
            with self.wrap_database_errors:
                raw = self.fresh(self.get_connection_params())
            raw.autocommit = True
        except Error:
            return None
        return raw
