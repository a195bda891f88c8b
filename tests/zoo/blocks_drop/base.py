"""Broken: what waits stays connected to a test database, which the server then neither copies nor drops."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def close_waiting(self) -> None:
        """They stay."""
