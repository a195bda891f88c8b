"""Broken: a session stays on the shelf while it is checked, and another thread may take it meanwhile."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def from_shelf(self) -> Any:
        while self.shelf:
            raw = self.shelf[-1]
            works = self.works(raw)
            with self.lock:
                if raw in self.shelf:
                    self.shelf.remove(raw)
            if works:
                return raw
            raw.close()
        return None
