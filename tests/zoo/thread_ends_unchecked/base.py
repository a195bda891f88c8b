"""Broken: once a thread has ended, what waits is handed out unchecked to a command's block on an alias of its own."""

from __future__ import annotations

import threading
from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    most = 0

    def works(self, raw: Any) -> bool:
        number = threading.active_count()
        type(self).most = max(self.most, number)
        return number < self.most or super().works(raw)
