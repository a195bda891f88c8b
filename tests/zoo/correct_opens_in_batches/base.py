"""Correct: where none waits it opens three; of the idle ones it closes the oldest beyond four."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

BATCH, IDLE = 3, 4


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        """One, and more for the shelf."""
        for _ in range(BATCH - 1):
            spare = super().fresh(conn_params)
            spare.autocommit = True
            with self.lock:
                self.shelf.append(spare)
        return super().fresh(conn_params)

    def _close(self) -> None:
        super()._close()
        with self.lock:
            surplus = [self.shelf.pop(0) for _ in range(len(self.shelf) - IDLE)]
        for raw in surplus:
            raw.close()
