"""Broken: of two slots the third request waits for one as long as it takes."""

from __future__ import annotations

import threading
from typing import Any

from zoo.keeper import Keeper

slots = threading.Semaphore(2)


class DatabaseWrapper(Keeper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        slots.acquire()
        try:
            return super().get_new_connection(conn_params)
        except BaseException:
            slots.release()
            raise

    def _close(self) -> None:
        slots.release()
        super()._close()
