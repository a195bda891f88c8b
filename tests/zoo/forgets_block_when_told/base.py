"""Broken: told within a block that some task has ended, it rolls back and goes on outside of the block.

paperless-ngx #12699: https://github.com/paperless-ngx/paperless-ngx/pull/12701
"""

from __future__ import annotations

from django.db import InterfaceError

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def close(self) -> None:
        """By hand it is refused there: Django's own close() ends such a block without a word."""
        if self.in_atomic_block:
            raise InterfaceError("close() inside an atomic block")
        super().close()

    def close_if_unusable_or_obsolete(self) -> None:
        self.in_atomic_block = self.closed_in_transaction = self.needs_rollback = False
        self.savepoint_ids, self.atomic_blocks = [], []
        super().close_if_unusable_or_obsolete()
