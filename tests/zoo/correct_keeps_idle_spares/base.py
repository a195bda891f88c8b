"""Correct: beside the sessions in use two wait for each alias, used in turn; what has been opened stays."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

IDLE = 2


class DatabaseWrapper(Careful):
    def from_shelf(self) -> Any:
        """None where too few would be left; else the one that has waited longest."""
        with self.lock:
            few = len(self.shelf) <= IDLE
            if not few:
                self.shelf.append(self.shelf.pop(0))
        return None if few else super().from_shelf()
