"""Broken: a forked child finds its parent's sessions on the shelf."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    @property
    def shelf(self) -> list[Any]:
        return self.shelves[self.alias]
