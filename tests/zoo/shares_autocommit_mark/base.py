"""Broken: whether autocommit is off already is noted for each thread, and not for each alias."""

from __future__ import annotations

import threading
from typing import Any

from zoo.careful import Careful

noted = threading.local()


class DatabaseWrapper(Careful):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        noted.autocommit = None
        return super().get_new_connection(conn_params)

    def _set_autocommit(self, autocommit: bool) -> None:
        if getattr(noted, "autocommit", None) is not autocommit:
            super()._set_autocommit(autocommit)
            noted.autocommit = autocommit
