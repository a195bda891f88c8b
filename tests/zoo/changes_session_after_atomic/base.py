"""Broken: within one request it gives the session back after each atomic block and takes another one up."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    blocks = 0

    def _commit(self) -> None:
        super()._commit()
        self.blocks += 1

    def create_cursor(self, name: str | None = None) -> Any:
        if self.blocks and not self.in_atomic_block and self.get_autocommit():
            self.blocks = 0
            with self.lock:
                self.shelf.insert(0, self.connection)
            self.connection = None
            self.connection = self.fresh(self.get_connection_params())
            self.connection.autocommit = True
        return super().create_cursor(name)
