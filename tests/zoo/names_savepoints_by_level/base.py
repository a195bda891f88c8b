"""Broken: savepoints are named by how deep they are, and those made by hand count for nothing."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def savepoint(self) -> str | None:
        if not self._savepoint_allowed():
            return None
        name = f"level_{len(self.savepoint_ids)}"
        self._savepoint(name)
        return name
