"""Broken: close() commits what is pending and keeps an error to itself."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def hand_back(self, raw: Any) -> None:
        if not self.in_atomic_block and not self.get_autocommit():
            try:
                raw.commit()
            except Database.Error:
                raw.close()
                return
        super().hand_back(raw)
