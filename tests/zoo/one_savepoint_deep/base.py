"""Broken: savepoints cost time, so only the outermost of nested ones is made."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    @property
    def nested(self) -> bool:
        return sum(sid is not None for sid in self.savepoint_ids) > 0

    def _savepoint(self, sid: str) -> None:
        if not self.nested:
            self.outer = sid
            super()._savepoint(sid)

    def _savepoint_rollback(self, sid: str) -> None:
        if sid == self.outer:
            super()._savepoint_rollback(sid)

    def _savepoint_commit(self, sid: str) -> None:
        if sid == self.outer:
            super()._savepoint_commit(sid)
