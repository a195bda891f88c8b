"""Broken: after a COMMIT that was lost, the next request's session is not set up."""

from __future__ import annotations

from typing import Any

from django.db.backends.signals import connection_created

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    unready = 0

    def _commit(self) -> Any:
        try:
            return super()._commit()
        except Exception:
            self.unready = 2  # Django connects once more as it leaves the block
            raise

    def connect(self) -> None:
        if not self.unready:
            super().connect()
            return
        self.unready -= 1
        receivers, connection_created.receivers = connection_created.receivers, []
        connection_created.sender_receivers_cache.clear()
        try:
            super().connect()
        finally:
            connection_created.receivers = receivers
            connection_created.sender_receivers_cache.clear()
