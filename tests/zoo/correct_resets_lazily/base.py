"""Correct: a session goes back rolled back, and what was set on it is undone when the next one takes it."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def works(self, raw: Any) -> bool:
        try:
            self.reset(raw)
            return self.may_write(raw)
        except Database.Error:
            return False

    def clean(self, raw: Any) -> bool:
        try:
            self.roll_back(raw)
            return self.restore(raw)
        except Database.Error:
            return False
