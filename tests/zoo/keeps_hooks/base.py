"""Broken: hooks of a block that was never left wait on the wrapper for the next request's commit."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def connect(self) -> None:
        hooks = self.run_on_commit
        super().connect()
        self.run_on_commit = hooks

    def close(self) -> None:
        hooks = self.run_on_commit
        super().close()
        self.run_on_commit = hooks
