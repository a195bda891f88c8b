"""Correct: a session lives two to three seconds, each its own time, and is closed when it comes back after that."""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

from zoo.careful import Careful

LEAST, MOST = 2.0, 3.0


class DatabaseWrapper(Careful):
    until: ClassVar[dict[int, tuple[Any, float]]] = {}

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        self.until[id(raw)] = raw, time.monotonic() + random.uniform(LEAST, MOST)
        return raw

    def clean(self, raw: Any) -> bool:
        _, until = self.until.get(id(raw), (raw, 0.0))
        if time.monotonic() < until:
            return super().clean(raw)
        self.until.pop(id(raw), None)
        return False
