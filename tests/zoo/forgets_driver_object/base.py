"""Broken: it resets the session, and not what was left on the driver's connection object."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def restore(self, raw: Any) -> bool:
        return True
