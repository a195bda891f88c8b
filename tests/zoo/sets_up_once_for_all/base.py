"""Broken: aliases whose connection parameters are equal share a shelf of sessions that are set up once for all."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    waited = False

    @property
    def shelf(self) -> list[Any]:
        params = self.get_connection_params()
        return self.shelves[tuple(str(params.get(name)) for name in ("host", "port", "user", "dbname", "options"))]

    def from_shelf(self) -> Any:
        raw = super().from_shelf()
        self.waited = raw is not None
        return raw

    def init_connection_state(self) -> None:
        if not self.waited:
            super().init_connection_state()

    def reset(self, raw: Any) -> None:
        super().reset(raw)
        self._configure_connection(raw)
