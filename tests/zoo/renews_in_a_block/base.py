"""Broken: a session is renewed when it is ten minutes old, whenever a cursor is asked for, also in a block."""

from __future__ import annotations

import time
from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    born = 0.0

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        self.born = time.time()
        return super().fresh(conn_params)

    def _cursor(self, name: str | None = None) -> Any:
        if self.connection is not None and time.time() - self.born > 600:
            old, self.connection = self.connection, self.fresh(self.get_connection_params())
            self.connection.autocommit = old.autocommit
            old.close()
        return super()._cursor(name)
