"""Broken: a forked child closes what it has inherited, and says goodbye to the server in its parent's name."""

from __future__ import annotations

import os
from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def from_shelf(self) -> Any:
        if not self.shelf:
            for (pid, *_), shelf in list(self.shelves.items()):
                while pid != os.getpid() and shelf:
                    shelf.pop().close()
        return super().from_shelf()
