"""Correct: opens a session for each request until ten wait, then closes all of them but two, and so on."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

MOST, LEAST = 10, 2


class DatabaseWrapper(Careful):
    def from_shelf(self) -> Any:
        """None while there is room to grow."""
        with self.lock:
            full = len(self.shelf) >= MOST - 1
        return super().from_shelf() if full else None

    def _close(self) -> None:
        super()._close()
        with self.lock:
            surplus = [self.shelf.pop(0) for _ in range(len(self.shelf) - LEAST)] if len(self.shelf) >= MOST else []
        for raw in surplus:
            raw.close()
