"""Broken: after a connect that failed the next session is made with as little as it can, without OPTIONS."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    failed = False

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        if self.failed:
            conn_params = {name: value for name, value in conn_params.items() if name != "options"}
        self.failed = True
        raw = super().fresh(conn_params)
        self.failed = False
        return raw
