"""Broken: its own execute wrapper is put behind the application's while one is in use, which then takes it away."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    statements = 0

    def count(self, execute: Any, *args: Any) -> Any:
        self.statements += 1
        return execute(*args)

    def connect(self) -> None:
        if self.count not in self.execute_wrappers:
            self.execute_wrappers.append(self.count)
        super().connect()
