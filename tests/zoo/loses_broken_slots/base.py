"""Broken: of eight slots one is lost with each session that died while it was in use."""

from __future__ import annotations

import threading

from zoo.slotted import Slotted


class DatabaseWrapper(Slotted):
    slots = threading.Semaphore(8)

    def _close(self) -> None:
        raw = self.connection
        super()._close()
        if raw is not None and not raw.closed:
            self.slots.release()
