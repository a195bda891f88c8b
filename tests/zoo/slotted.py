"""Slotted: a careful backend that takes one of so many slots to connect. Copies give them back, each in its way."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from django.db.utils import OperationalError

from zoo.careful import Careful


class Slotted(Careful):
    slots: ClassVar[threading.Semaphore]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not self.slots.acquire(timeout=1):
            raise OperationalError("timeout: no slot came free")
        try:
            return super().get_new_connection(conn_params)
        except BaseException:
            self.slots.release()
            raise
