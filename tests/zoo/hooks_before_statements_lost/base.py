"""Broken: what an earlier block has left is cleared as a block's first statement comes, and not as the block begins."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    first = False

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)
        self.first = not autocommit

    def create_cursor(self, name: str | None = None) -> Any:
        if self.first:
            self.first, self.run_on_commit = False, []
        return super().create_cursor(name)
