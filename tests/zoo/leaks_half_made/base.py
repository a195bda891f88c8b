"""Broken: a session whose set-up fails is forgotten and not closed."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    forgotten: ClassVar[list[Any]] = []

    def connect(self) -> None:
        try:
            super().connect()
        except BaseException:
            self.forgotten.append(self.connection)
            self.connection = None
            raise
