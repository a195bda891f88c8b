"""Broken: a pool of four waits for connections whose threads have ended without giving them back."""

from __future__ import annotations

import threading
from typing import Any

from zoo.keeper import Keeper

slots = threading.Semaphore(1)


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if threading.main_thread() is threading.current_thread():
            slots.acquire()
            slots.release()
        else:
            slots.acquire()
        return super().get_new_connection(conn_params)

    def _close(self) -> None:
        if threading.main_thread() is not threading.current_thread():
            slots.release()
        super()._close()
