"""Correct: a socket on which there is something to read, though nobody has asked, is a dead session's."""

from __future__ import annotations

import select
from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def works(self, raw: Any) -> bool:
        waiting = select.poll()
        waiting.register(raw.fileno(), select.POLLIN)
        return not waiting.poll(0)
