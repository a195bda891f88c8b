"""Broken: close() commits whatever is pending, the half of an atomic block too."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def hand_back(self, raw: Any) -> None:
        raw.commit()
        super().hand_back(raw)
