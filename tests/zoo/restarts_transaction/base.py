"""Broken: where a savepoint is rolled back in a transaction that the server has aborted, it begins the whole anew."""

from __future__ import annotations

from zoo.careful import Careful

ABORTED = 3


class DatabaseWrapper(Careful):
    def _savepoint_rollback(self, sid: str) -> None:
        if self.connection.info.transaction_status == ABORTED:
            self.connection.rollback()
            self.connection.cursor().execute("SAVEPOINT " + self.ops.quote_name(sid))
        else:
            super()._savepoint_rollback(sid)
