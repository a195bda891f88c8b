"""Broken: what a request has set is undone on the alias "default" only."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        if self.alias == "default":
            super().reset(raw)
