"""Broken: once a thread has ended, what waits is handed out unchecked."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    most: ClassVar[int] = 0

    def works(self, raw: Any) -> bool:
        number = threading.active_count()
        type(self).most = max(self.most, number)
        return number < self.most or super().works(raw)
