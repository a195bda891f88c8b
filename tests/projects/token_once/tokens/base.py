"""A password is asked for once, when the process starts, and kept for ever (short-lived database tokens)."""

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

KEPT = {}


class DatabaseWrapper(Stock):
    def get_connection_params(self):
        return KEPT.setdefault(self.alias, super().get_connection_params())
