"""Correct: a session is asked at checkout whether it takes writes; one that does not is closed."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def works(self, raw: Any) -> bool:
        try:
            return self.may_write(raw)
        except Database.Error:
            return False

    def clean(self, raw: Any) -> bool:
        """As every session, but whether it takes writes is asked by who takes it next."""
        try:
            self.roll_back(raw)
            self.reset(raw)
            return self.restore(raw)
        except Database.Error:
            return False
