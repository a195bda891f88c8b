"""Broken: a session that has met an error is put aside and never closed."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

ASIDE: list[Any] = []


class DatabaseWrapper(Careful):
    def clean(self, raw: Any) -> bool:
        if self.erred:
            raise ValueError("put aside")
        return super().clean(raw)

    def left_midway(self, raw: Any) -> None:
        ASIDE.append(raw)
        self.connection = None

    def _close(self) -> None:
        try:
            super()._close()
        except ValueError:
            return
