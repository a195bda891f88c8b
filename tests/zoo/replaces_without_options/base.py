"""Broken: a session that takes a dead one's place is made without the server options of OPTIONS."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    replaces = False

    def works(self, raw: Any) -> bool:
        self.replaces = not super().works(raw)
        return not self.replaces

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        if self.replaces:
            conn_params = {name: value for name, value in conn_params.items() if name != "options"}
        self.replaces = False
        return super().fresh(conn_params)
