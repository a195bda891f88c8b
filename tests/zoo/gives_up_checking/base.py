"""Broken: when three sessions of the shelf have failed their check, the next one is handed out unchecked."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    failed = 0

    def from_shelf(self) -> Any:
        self.failed = 0
        return super().from_shelf()

    def works(self, raw: Any) -> bool:
        if self.failed >= 3:
            return True
        good = super().works(raw)
        self.failed += not good
        return good
