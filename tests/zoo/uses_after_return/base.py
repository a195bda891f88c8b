"""Broken: close() by hand puts the session on the shelf, and a request that goes on goes on with it."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    last: Any = None

    def close_if_unusable_or_obsolete(self) -> None:
        super().close_if_unusable_or_obsolete()
        self.last = None

    def _close(self) -> None:
        self.last = self.connection
        super()._close()

    def from_shelf(self) -> Any:
        if self.last is None or self.last.closed or not self.works(self.last):
            return super().from_shelf()
        if self.last in self.shelf:
            self.shelf.remove(self.last)
        return self.last
