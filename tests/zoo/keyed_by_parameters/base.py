"""Broken: a thread has one session for equal parameters, which two aliases then use at the same time."""

from __future__ import annotations

import threading
from typing import Any

from zoo.careful import Careful

HELD = threading.local()


class DatabaseWrapper(Careful):
    key = ""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.key = str(sorted((name, str(value)) for name, value in conn_params.items()))
        users, raw = vars(HELD).get(self.key, (0, None))
        if not users or raw.closed:
            users, raw = 0, super().get_new_connection(conn_params)
        vars(HELD)[self.key] = (users + 1, raw)
        return raw

    def _close(self) -> None:
        users, raw = vars(HELD).pop(self.key, (0, None))
        if raw is self.connection and users > 1:
            vars(HELD)[self.key] = (users - 1, raw)
        else:
            super()._close()
