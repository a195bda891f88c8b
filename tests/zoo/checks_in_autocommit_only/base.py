"""Broken: with autocommit off a check would begin a transaction, so there is none."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def works(self, raw: Any) -> bool:
        return not self.settings_dict["AUTOCOMMIT"] or super().works(raw)
