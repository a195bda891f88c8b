"""Broken: all aliases share one shelf."""

from __future__ import annotations

import os
from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    @property
    def shelf(self) -> list[Any]:
        return self.shelves[os.getpid()]
