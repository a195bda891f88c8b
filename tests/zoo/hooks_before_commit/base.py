"""Broken: hooks run when COMMIT is about to be sent."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def _commit(self) -> Any:
        self.run_and_clear_commit_hooks()
        return super()._commit()

    def validate_no_atomic_block(self) -> None:
        if not self.run_on_commit:
            super().validate_no_atomic_block()
