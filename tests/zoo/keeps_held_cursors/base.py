"""Broken: its own list of what is to be reset leaves out CLOSE ALL."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

RESET = (
    *("RESET ALL", "RESET ROLE", "DEALLOCATE ALL", "UNLISTEN *", "SELECT pg_advisory_unlock_all()"),
    *("DISCARD TEMP", "DISCARD SEQUENCES"),
)


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        for statement in RESET:
            raw.cursor().execute(statement)
