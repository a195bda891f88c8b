"""Broken: what is set on another alias than the default one is kept where a statement was refused on it before."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        if not (self.erred and self.alias != "default"):
            super().reset(raw)
