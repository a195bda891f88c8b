"""Broken: with AUTOCOMMIT=False the last look at a session that was given back begins a transaction, which stays."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def may_write(self, raw: Any) -> bool:
        raw.autocommit = self.settings_dict["AUTOCOMMIT"]
        return super().may_write(raw)

    def works(self, raw: Any) -> bool:
        raw.rollback()
        raw.autocommit = True
        return super().works(raw)
