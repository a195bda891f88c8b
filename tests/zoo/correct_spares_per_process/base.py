"""Correct: of the sessions of a process one spare is kept for each alias, the one that has waited longest."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

SPARES = 1


class DatabaseWrapper(Careful):
    def _close(self) -> None:
        """One session more than a spare is not worth keeping."""
        super()._close()
        with self.lock:
            surplus = [self.shelf.pop(0) for _ in range(len(self.shelf) - SPARES)]
        for raw in surplus:
            raw.close()

    def from_shelf(self) -> Any:
        """The oldest one first."""
        with self.lock:
            self.shelf.reverse()
        return super().from_shelf()
