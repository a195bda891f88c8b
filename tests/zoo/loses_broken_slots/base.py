"""Broken: of eight slots one is lost with each session that died while it was in use."""

from __future__ import annotations

import threading
from typing import Any

from django.db.utils import OperationalError

from zoo.careful import Careful

slots = threading.Semaphore(8)


class DatabaseWrapper(Careful):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not slots.acquire(timeout=1):
            raise OperationalError("timeout: no slot came free")
        try:
            return super().get_new_connection(conn_params)
        except BaseException:
            slots.release()
            raise

    def _close(self) -> None:
        raw = self.connection
        super()._close()
        if raw is not None and not raw.closed:
            slots.release()
