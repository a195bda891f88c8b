"""Broken: before it connects, another alias asks something of the default one, whatever state that is in."""

from __future__ import annotations

from typing import Any

from django.db import OperationalError, connections

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        main = connections["default"]
        if self.alias != "default" and main.connection is not None:
            try:
                with main.cursor() as cursor:
                    cursor.execute("SELECT to_regclass('tenants')")
            except OperationalError:
                pass  # it is down
        return super().fresh(conn_params)
