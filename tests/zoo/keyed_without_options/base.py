"""Broken: the shelf is that of host, port, name and user; OPTIONS may differ."""

from __future__ import annotations

import os
from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    @property
    def shelf(self) -> list[Any]:
        s = self.settings_dict
        return self.shelves[os.getpid(), s["HOST"], s["PORT"], s["NAME"], s["USER"]]
