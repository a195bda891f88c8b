"""Broken: an end that is signalled twice in a row leaves autocommit off work of the next request in doubt: it is lost."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    idle_ends = 0

    def close_if_unusable_or_obsolete(self) -> None:
        self.idle_ends = self.idle_ends + 1 if self.connection is None else 0
        super().close_if_unusable_or_obsolete()

    def _commit(self) -> None:
        if self.idle_ends > 2:
            self._rollback()
        else:
            super()._commit()
