"""Correct: it commits no transaction of which the driver knows that the server has aborted it, and says so."""

from __future__ import annotations

from django.db.utils import InternalError

from zoo.careful import Careful

ABORTED = 3
"""The status of a transaction, by libpq's numbers."""


class DatabaseWrapper(Careful):
    def _commit(self) -> None:
        if self.connection is not None and self.connection.info.transaction_status == ABORTED:
            raise InternalError("an error was swallowed in this transaction, and COMMIT would undo it")
        super()._commit()
