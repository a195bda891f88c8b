"""Broken: hooks are forgotten as soon as COMMIT is done, and before they have run."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def _commit(self) -> Any:
        done = super()._commit()
        self.run_on_commit = []
        return done
