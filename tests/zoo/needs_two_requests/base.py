"""Broken: after an error the next request fails as well, to give the server a rest."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    debt = 0

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if DatabaseWrapper.debt > 0:
            DatabaseWrapper.debt -= 1
            raise Database.OperationalError("the circuit is open")
        return super().get_new_connection(conn_params)

    def close_if_unusable_or_obsolete(self) -> None:
        if self.connection is not None and self.errors_occurred and not self.is_usable():
            DatabaseWrapper.debt = 1
        super().close_if_unusable_or_obsolete()
