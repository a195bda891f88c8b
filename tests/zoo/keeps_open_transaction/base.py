"""Broken: it keeps the connection as it is, with whatever transaction is open."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def hand_back(self, raw: Any) -> None:
        self.kept.raw = raw

    def works(self, raw: Any) -> bool:
        try:
            raw.cursor().execute("SELECT 1")
        except Database.Error:
            return False
        raw.commit()
        return True
