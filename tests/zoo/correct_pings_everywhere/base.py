"""Correct: before each use outside of atomic the session is asked, whatever kind of work wants it."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    asking = False

    def ensure_connection(self) -> None:
        raw = self.connection
        if raw is not None and not self.asking and not self.in_atomic_block and (raw.closed or raw.autocommit):
            self.replace_dead()
        super().ensure_connection()

    def replace_dead(self) -> None:
        """Away with a session that does not answer."""
        self.asking = True
        try:
            self.connection.cursor().execute("SELECT 1")
        except Database.Error:
            raw, self.connection = self.connection, None
            self.gone(raw)
        finally:
            self.asking = False

    def gone(self, raw: Any) -> None:
        """It is nobody's any more."""
        lease = vars(self.leases).get("held", {}).pop(id(raw), None)
        if lease is not None:
            lease.raw = None
        raw.close()
