"""Broken: the session stays with its wrapper; after an error it is reset, and nothing sets it up again."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def close_if_unusable_or_obsolete(self) -> None:
        raw, plain = self.connection, not self.in_atomic_block and self.settings_dict["AUTOCOMMIT"]
        if raw is None or not plain or not self.get_autocommit() or not self.kept(raw):
            super().close_if_unusable_or_obsolete()

    def kept(self, raw: Any) -> bool:
        """Whether the wrapper may go on with it; what an error has left behind is discarded, and more."""
        if raw.info.transaction_status != 0 or not self.works(raw):
            return False
        try:
            if self.erred:
                raw.cursor().execute("DISCARD ALL")
        except Database.Error:
            return False
        self.erred = False
        return True
