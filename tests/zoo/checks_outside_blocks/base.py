"""Broken: while any other alias of the thread is in a block, what waits is handed out unchecked."""

from __future__ import annotations

from typing import Any

from django.db import connections

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def works(self, raw: Any) -> bool:
        busy = any(each is not self and each.in_atomic_block for each in connections.all(initialized_only=True))
        return busy or super().works(raw)
