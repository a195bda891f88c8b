"""Broken: whether a block must be rolled back it asks the driver, which knows of statements' errors alone."""

from __future__ import annotations

from zoo.careful import Careful

INERROR = 3


class DatabaseWrapper(Careful):
    wanted = False

    @property
    def needs_rollback(self) -> bool:
        raw = self.connection
        lost = raw is not None and (raw.closed or raw.info.transaction_status == INERROR)
        return bool(self.wanted or self.closed_in_transaction or lost)

    @needs_rollback.setter
    def needs_rollback(self, value: bool) -> None:
        self.wanted = self.wanted and value

    def set_rollback(self, rollback: bool) -> None:
        super().set_rollback(rollback)
        self.wanted = rollback
