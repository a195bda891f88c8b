"""Broken: of eight slots one is lost each time that connecting fails."""

from __future__ import annotations

import threading
from typing import Any

from django.db.utils import OperationalError

from zoo.careful import Careful

slots = threading.Semaphore(8)


class DatabaseWrapper(Careful):
    has_slot = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not slots.acquire(timeout=1):
            raise OperationalError("timeout: no slot came free")
        raw = super().get_new_connection(conn_params)
        self.has_slot = True
        return raw

    def _close(self) -> None:
        super()._close()
        if self.has_slot:
            self.has_slot = False
            slots.release()
