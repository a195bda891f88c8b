"""Broken: a thread in the background pings the idle sessions, and leaves the transaction open that the ping began."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, ClassVar

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    pingers: ClassVar[dict[int, threading.Thread]] = {}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if os.getpid() not in self.pingers:
            self.pingers[os.getpid()] = threading.Thread(target=self.ping, daemon=True)
            self.pingers[os.getpid()].start()
        return super().get_new_connection(conn_params)

    def ping(self) -> None:
        while True:
            time.sleep(0.2)
            with self.lock:
                for raw in [raw for shelf in self.shelves.values() for raw in shelf]:
                    try:
                        if raw.info.transaction_status == 0:
                            raw.autocommit = False
                            raw.cursor().execute("SELECT 1")
                    except Database.Error:
                        raw.close()

    def works(self, raw: Any) -> bool:
        try:
            raw.rollback()
            raw.autocommit = True
        except Database.Error:
            return False
        return super().works(raw)
