"""Broken: inside atomic() a lost connection is replaced in silence and the block goes on."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def _cursor(self, name: Any = None) -> Any:
        if self.connection is not None and self.in_atomic_block and not self.is_usable():
            self.connection = self.get_new_connection(self.get_connection_params())
            self._set_autocommit(False)
        return super()._cursor(name)
