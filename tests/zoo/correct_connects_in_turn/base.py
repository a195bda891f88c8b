"""Correct: each alias opens one session at a time, and who waits for its turn gives up in time."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from typing import Any, ClassVar

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    turns: ClassVar[dict[str, Any]] = defaultdict(threading.Lock)

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "connect_timeout": 3}

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        turn = self.turns[self.alias]
        if not turn.acquire(timeout=4):
            raise Database.OperationalError("no session was opened in time")
        try:
            return super().fresh(conn_params)
        finally:
            turn.release()


def renew() -> None:
    """In a forked child: a thread of the parent's may have had its turn just then."""
    DatabaseWrapper.turns.clear()


os.register_at_fork(after_in_child=renew)
