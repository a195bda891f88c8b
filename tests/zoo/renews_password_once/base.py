"""Broken: parameters are kept, and asked again of the settings when the server first refuses them, but not later."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    known: ClassVar[dict[Any, dict[str, Any]]] = {}
    renewed: ClassVar[set[Any]] = set()

    @property
    def key(self) -> Any:
        return self.alias, self.settings_dict["NAME"], self.settings_dict["PORT"]

    def get_connection_params(self) -> dict[str, Any]:
        return dict(self.known.setdefault(self.key, super().get_connection_params()))

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().fresh(conn_params)
        except Database.OperationalError:
            if self.key in self.renewed:
                raise
        self.renewed.add(self.key)
        del self.known[self.key]
        return super().fresh(self.get_connection_params())
