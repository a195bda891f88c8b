"""Broken: of all rollbacks to a savepoint in one block only the first is sent."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    sent = False

    def _savepoint_rollback(self, sid: str) -> None:
        if not self.sent:
            super()._savepoint_rollback(sid)
        self.sent = True

    def _commit(self) -> None:
        self.sent = False
        super()._commit()

    def _rollback(self) -> None:
        self.sent = False
        super()._rollback()
