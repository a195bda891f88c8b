"""Broken: whatever is raised while a session is checked is taken for the session's, SystemExit too."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def works(self, raw: Any) -> bool:
        try:
            raw.cursor().execute("SELECT 1")
        except BaseException:  # noqa: BLE001
            return False
        return True
