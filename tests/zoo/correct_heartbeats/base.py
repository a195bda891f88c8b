"""Correct: each session has a thread that looks every five seconds whether it is closed, and ends when it is."""

from __future__ import annotations

import threading
import time
from typing import Any

from zoo.careful import Careful

EVERY = 5.0


def look(raw: Any) -> None:
    while not raw.closed:
        time.sleep(EVERY)


class DatabaseWrapper(Careful):
    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        threading.Thread(target=look, args=(raw,), daemon=True).start()
        return raw
