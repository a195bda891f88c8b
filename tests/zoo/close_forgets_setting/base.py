"""Broken: close() commits after set_autocommit(False), not where AUTOCOMMIT=False is in the settings."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def hand_back(self, raw: Any) -> None:
        if not self.in_atomic_block and self.settings_dict["AUTOCOMMIT"] and not self.get_autocommit():
            try:
                raw.commit()
            except BaseException:
                raw.close()
                raise
        super().hand_back(raw)
