"""Broken: the shelf is emptied in the first forked generation only: the flag that says so is inherited."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from zoo.careful import ORPHANS, Careful


class DatabaseWrapper(Careful):
    owner: ClassVar[int] = 0
    emptied: ClassVar[bool] = False

    @property
    def shelf(self) -> list[Any]:
        cls = type(self)
        if not cls.owner:
            cls.owner = os.getpid()
        if os.getpid() != cls.owner and not cls.emptied:
            cls.emptied = True
            ORPHANS.extend(raw for shelf in self.shelves.values() for raw in shelf)
            self.shelves.clear()
        return self.shelves[self.alias]
