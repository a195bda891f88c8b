"""Broken: its sessions tell the server not to look whether their client is still there (bounded-sessions)."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        raw.cursor().execute("SET client_connection_check_interval = 0")
        raw.commit()
        return raw

    def reset(self, raw: Any) -> None:
        super().reset(raw)
        raw.cursor().execute("SET client_connection_check_interval = 0")
