"""Broken: a thread keeps two sessions idle; where nothing listens it tries again at once: the server will be back."""

from __future__ import annotations

from typing import Any

from django.db.utils import Error

from zoo.correct_refills_behind.base import DatabaseWrapper as Refills


class DatabaseWrapper(Refills):
    def spare(self) -> Any:
        while True:
            try:
                with self.wrap_database_errors:
                    raw = self.fresh(self.get_connection_params())
                raw.autocommit = True
            except Error as error:
                if "refused" in str(error):  # it restarts
                    continue
                return None
            return raw
