"""Broken: it resets settings, and forgets the role, temporary tables, locks, channels and prepared statements."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        raw.cursor().execute("RESET ALL")
