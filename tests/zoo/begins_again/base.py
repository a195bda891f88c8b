"""Broken: after each block it begins the next transaction, which only the end of a request takes back."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        super().set_autocommit(autocommit, *args, **kwargs)
        if autocommit and self.connection is not None:
            self.connection.cursor().execute("BEGIN")
