"""Correct: a connect that takes long is made a second time beside it, and the one that comes later is closed."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.hedges_connects.base import DatabaseWrapper as Hedging


def close(later: Future[Any]) -> None:
    with suppress(Database.Error):
        later.result().close()


class DatabaseWrapper(Hedging):
    def drop(self, attempts: list[Future[Any]]) -> None:
        for each in attempts:
            each.add_done_callback(close)
