"""Broken: a thread that ends closes every session that it ever had, whoever has it now."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful, Lease


class DatabaseWrapper(Careful):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        vars(self.leases).setdefault("ever", []).append(Lease(raw))
        return raw
