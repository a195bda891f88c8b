"""Broken: a lock is held while a session is checked, and a child that is forked meanwhile inherits it locked."""

from __future__ import annotations

import threading
from typing import Any

from zoo.careful import Careful

CHECKING = threading.Lock()


class DatabaseWrapper(Careful):
    def from_shelf(self) -> Any:
        with CHECKING:
            return super().from_shelf()
