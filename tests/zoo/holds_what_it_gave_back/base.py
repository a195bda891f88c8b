"""Broken: a signal's exception in a reset leaves the session on the shelf and in the wrapper as well."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    kept: Any = None

    def left_midway(self, raw: Any) -> None:
        self.shelf.append(raw)
        self.kept = raw

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.connection, self.kept = self.kept or self.connection, None
