"""Broken: after a close() by hand, in the same request, the rollback of a savepoint is not sent on another alias."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    by_hand = False

    def close(self) -> None:
        super().close()
        self.by_hand = True

    def _savepoint_rollback(self, sid: str) -> None:
        if not self.by_hand or self.alias == "default":
            super()._savepoint_rollback(sid)

    def close_if_unusable_or_obsolete(self) -> None:
        super().close_if_unusable_or_obsolete()
        self.by_hand = False
