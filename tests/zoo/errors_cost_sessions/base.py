"""Broken: any error, and were it a duplicate key, costs the session."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def clean(self, raw: Any) -> bool:
        return not self.erred and super().clean(raw)
