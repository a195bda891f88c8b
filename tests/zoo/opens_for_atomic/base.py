"""Broken: a request that begins with atomic() gets a new connection."""

from __future__ import annotations

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        if not autocommit and self.fresh:
            self.close()
            self.kept.raw = None
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        self.fresh = autocommit

    fresh = True
