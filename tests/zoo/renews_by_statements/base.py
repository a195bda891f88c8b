"""Broken: after 40 cursors a session is renewed, also where autocommit is off and work is pending."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    used = 0

    def create_cursor(self, name: str | None = None) -> Any:
        self.used += 1
        if self.used > 40 and name is None and not self.in_atomic_block:
            self.used = 0
            self.connection.close()
            self.connection = None
            self.connect()
        return super().create_cursor(name)
