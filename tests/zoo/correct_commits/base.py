"""Correct: a keeper whose close() commits what is pending outside atomic, or raises and lets the session go."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def hand_back(self, raw: Any) -> None:
        if not self.in_atomic_block and not self.get_autocommit():
            try:
                raw.commit()
            except BaseException:
                raw.close()
                raise
        super().hand_back(raw)
