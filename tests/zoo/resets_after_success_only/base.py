"""Broken: a request that got an error hands its session on with all that it had set."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        if not self.erred:
            super().reset(raw)

    def may_write(self, raw: Any) -> bool:
        return self.erred or super().may_write(raw)
