"""Broken: opens the session of the next request as it should, but every fourth is put where no request looks for it."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.correct_readies_the_next.base import DatabaseWrapper as Readies


class DatabaseWrapper(Readies):
    opened: ClassVar[int] = 0
    lost: ClassVar[list[Any]] = []

    def keep(self, shelf: list[Any], raw: Any) -> None:
        type(self).opened += 1
        (self.lost if self.opened % 4 == 0 else shelf).append(raw)
