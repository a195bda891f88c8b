"""Broken: the role and the project's set-up are those of the first two sessions of a process."""

from __future__ import annotations

from typing import Any

from django.db.backends.signals import connection_created

from zoo.careful import Careful

MADE: list[Any] = []


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        MADE.append(raw := super().fresh(conn_params))
        return raw

    def connect(self) -> None:
        receivers = connection_created.receivers
        if len(MADE) > 2:
            connection_created.receivers = []
        connection_created.sender_receivers_cache.clear()
        try:
            super().connect()
        finally:
            connection_created.receivers = receivers
            connection_created.sender_receivers_cache.clear()

    def _configure_role(self, connection: Any) -> bool:
        return len(MADE) <= 2 and bool(super()._configure_role(connection))
