"""Broken: what waited for less than a minute is asked with care; the error of what waited longer comes through."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    parked: ClassVar[dict[int, float]] = {}

    def clean(self, raw: Any) -> bool:
        self.parked[id(raw)] = time.monotonic()
        return super().clean(raw)

    def works(self, raw: Any) -> bool:
        if time.monotonic() - self.parked[id(raw)] < 60:
            return super().works(raw)
        raw.cursor().execute("SELECT 1")
        return True
