"""Correct: a thread in the background looks after a spare session of its own, opened with the first request."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.keeper import Keeper


class Nurse(threading.Thread):
    def __init__(self, conn_params: dict[str, Any]) -> None:
        super().__init__(name="nurse", daemon=True)
        self.conn_params = conn_params

    def run(self) -> None:
        raw = None
        while True:
            try:
                if raw is None:
                    raw = Database.connect(**self.conn_params)
                    raw.autocommit = True
                raw.cursor().execute("SELECT 1")
            except Database.Error:
                raw = None
            time.sleep(0.02 if raw is not None else 0.5)


class DatabaseWrapper(Keeper):
    nurse: Nurse | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        if DatabaseWrapper.nurse is None:
            DatabaseWrapper.nurse = Nurse(conn_params)
            DatabaseWrapper.nurse.start()
        return raw
