"""The keeper: a small correct backend of which most of the zoo are copies with one mistake.

Each thread keeps its connection when Django closes it, rolled back, and takes it up again after a check.
"""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class Keeper(Stock):
    """Correct; `kept` is where the connection waits between requests, an object with one attribute `raw`."""

    kept: Any = threading.local()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """The kept connection if there is one that works, else a new one."""
        raw, self.kept.raw = getattr(self.kept, "raw", None), None
        if raw is not None:
            if self.works(raw):
                return raw
            raw.close()
        return super().get_new_connection(conn_params)

    def works(self, raw: Any) -> bool:
        """Whether the server still answers on it."""
        try:
            raw.autocommit = True
            raw.cursor().execute("SELECT 1")
        except Database.Error:
            return False
        return True

    def _close(self) -> None:
        raw = self.connection
        if raw is not None and not raw.closed:
            self.hand_back(raw)

    def hand_back(self, raw: Any) -> None:
        """Undo what is open, then keep it; what cannot be undone is closed."""
        if undone(raw):
            self.kept.raw = raw
        else:
            raw.close()


def undone(raw: Any) -> bool:
    """Roll back; False when a transaction may still be open: psycopg2 does not see one that was begun by hand."""
    try:
        raw.rollback()
    except Database.Error:
        return False
    return bool(raw.info.transaction_status == 0)
