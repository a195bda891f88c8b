"""Broken: it keeps a session whose server takes no writes any more."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def may_write(self, raw: Any) -> bool:
        return True
