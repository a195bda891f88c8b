"""Correct: a pool of two that takes back the connections of threads that have ended."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.keeper import Keeper, undone


class Pool:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[Any] = []
        self.used: dict[threading.Thread, Any] = {}

    def take(self) -> Any:
        with self.lock:
            for thread in [thread for thread in self.used if not thread.is_alive()]:
                raw = self.used.pop(thread)
                if not raw.closed and undone(raw):
                    self.idle.append(raw)
            if self.idle:
                self.used[threading.current_thread()] = self.idle.pop()
                return self.used[threading.current_thread()]
        return None

    def give(self, raw: Any) -> None:
        with self.lock:
            self.used.pop(threading.current_thread(), None)
            self.idle.append(raw)

    def note(self, raw: Any) -> None:
        self.used[threading.current_thread()] = raw


pool = Pool()


def renew() -> None:
    """In a forked child: a thread of the parent's may have held the lock, and the sessions are the parent's."""
    globals()["pool"] = Pool()


os.register_at_fork(after_in_child=renew)


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        while (raw := pool.take()) is not None:
            if self.works(raw):
                return raw
            raw.close()
        raw = Stock.get_new_connection(self, conn_params)
        pool.note(raw)
        return raw

    def hand_back(self, raw: Any) -> None:
        if undone(raw):
            pool.give(raw)
        else:
            raw.close()
