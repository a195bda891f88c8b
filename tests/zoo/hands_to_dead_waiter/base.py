"""Broken: who gives up waiting for one of three slots stays in the queue, and is handed one that it never takes."""

from __future__ import annotations

import threading
from typing import Any

from django.db.utils import OperationalError

from zoo.careful import Careful


class Slots:
    def __init__(self, free: int) -> None:
        self.lock = threading.Lock()
        self.free = free
        self.queue: list[threading.Event] = []

    def take(self) -> None:
        with self.lock:
            if self.free:
                self.free -= 1
                return
            mine = threading.Event()
            self.queue.append(mine)
        if not mine.wait(1):
            raise OperationalError("timeout: no slot came free")

    def give(self) -> None:
        with self.lock:
            if self.queue:
                self.queue.pop(0).set()
            else:
                self.free += 1


slots = Slots(3)


class DatabaseWrapper(Careful):
    has_slot = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        slots.take()
        try:
            raw = super().get_new_connection(conn_params)
        except BaseException:
            slots.give()
            raise
        self.has_slot = True
        return raw

    def _close(self) -> None:
        super()._close()
        if self.has_slot:
            self.has_slot = False
            slots.give()
