"""Broken: sessions are set up once, and one of which the set-up failed waits on the shelf with the others."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def connect(self) -> None:
        """What waits is ready: no receiver hears of it."""
        raw = self.from_shelf()
        if raw is None:
            super().connect()
            return
        self.in_atomic_block = self.closed_in_transaction = self.needs_rollback = self.errors_occurred = False
        self.savepoint_ids, self.atomic_blocks, self.run_on_commit = [], [], []
        self.health_check_done = True
        self.connection = raw
        self.set_autocommit(self.settings_dict["AUTOCOMMIT"])

    def reset(self, raw: Any) -> None:
        """What was set up stays."""
        raw.cursor().execute("UNLISTEN *; SELECT pg_advisory_unlock_all()")
