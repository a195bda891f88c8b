"""Broken: a COMMIT that the server refuses for a deferred constraint costs the session."""

from __future__ import annotations

from django.db.utils import Error

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def _commit(self) -> None:
        try:
            super()._commit()
        except Error:
            self.connection.close()
            raise
