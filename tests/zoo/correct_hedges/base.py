"""Correct: a connect that takes long is made a second time beside it, and the one that comes later is closed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.hedges_connects.base import DatabaseWrapper as Hedging


def close(later: Any) -> None:
    with suppress(Database.Error):
        later.result().close()


class DatabaseWrapper(Hedging):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        while self.later:
            self.later.pop().add_done_callback(close)
        return raw
