"""Correct: of a COMMIT whose answer is lost it asks the server what became of the transaction, and tells that."""

from __future__ import annotations

import time
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock

INTRANS = 2


class DatabaseWrapper(Stock):
    done: tuple[str, ...] = ("committed",)
    patience = 3.0
    """Seconds for a server that has not yet seen that its client is gone."""

    def _commit(self) -> None:
        raw = self.connection
        if raw is None or raw.closed or raw.info.transaction_status != INTRANS:
            super()._commit()
            return
        with self.wrap_database_errors:
            cursor = raw.cursor()
            cursor.execute("SELECT pg_current_xact_id_if_assigned()::text")
            (number,) = cursor.fetchone()
        try:
            super()._commit()
        except (OperationalError, InterfaceError):
            if not raw.closed or number is None or not self._is_committed(number):
                raise

    def _is_committed(self, number: str) -> bool:
        """If so, this wrapper goes on with the session on which it has asked."""
        try:
            fresh: Any = self.get_new_connection(self.get_connection_params())
            fresh.autocommit = True
            until = time.monotonic() + self.patience
            said = "in progress"
            while said == "in progress" and time.monotonic() < until:
                cursor = fresh.cursor()
                cursor.execute("SELECT pg_xact_status(%s::text::xid8)", [number])
                (said,) = cursor.fetchone()
        except Database.Error:
            return False
        if said not in self.done:
            fresh.close()
            return False
        self.connection = fresh
        self.init_connection_state()
        return True
