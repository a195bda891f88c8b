"""Broken: only every third request checks its connection."""

from __future__ import annotations

import itertools
from typing import Any

from zoo.keeper import Keeper

count = itertools.count(1)


class DatabaseWrapper(Keeper):
    def works(self, raw: Any) -> bool:
        return next(count) % 3 != 0 or super().works(raw)
