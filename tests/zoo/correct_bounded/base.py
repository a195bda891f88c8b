"""Correct: three sessions for each alias at most; who finds none waits for two seconds."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from typing import Any, ClassVar

from django.db.utils import OperationalError

from zoo.careful import Careful


class Slot:
    """Given back once: by hand, or when the thread goes that has it."""

    def __init__(self, slots: threading.Semaphore) -> None:
        self.slots: threading.Semaphore | None = slots

    def give(self) -> None:
        slots, self.slots = self.slots, None
        if slots is not None:
            slots.release()

    __del__ = give


class DatabaseWrapper(Careful):
    slots: ClassVar[Any] = defaultdict(lambda: threading.Semaphore(3))

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        slots = self.slots[os.getpid(), self.alias]
        if not slots.acquire(timeout=2):
            raise OperationalError("timeout: no session came free")
        slot = Slot(slots)
        try:
            raw = super().get_new_connection(conn_params)
        except BaseException:
            slot.give()
            raise
        vars(self.leases).setdefault("slots", {})[self.alias] = slot
        return raw

    def _close(self) -> None:
        super()._close()
        slot = vars(self.leases).get("slots", {}).pop(self.alias, None)
        if slot is not None:
            slot.give()
