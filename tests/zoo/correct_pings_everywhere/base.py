"""Correct: before each use outside of atomic the session is asked, whatever kind of work wants it."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    asking = False

    def ensure_connection(self) -> None:
        """With autocommit off, too, a transaction may be under way, of which no part is to run on another session."""
        if self.connection is not None and not self.asking and not self.in_atomic_block and self.autocommit:
            self.replace_dead()
        super().ensure_connection()

    def connect(self) -> None:
        """A session that is being set up is not asked: where each dies of the question, that would never end."""
        before, self.asking = self.asking, True
        try:
            super().connect()
        finally:
            self.asking = before

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
