"""Broken: an attempt to connect that ends in anything but a database error counts as under way for ever."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Database
from django.db.utils import OperationalError

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    connecting = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.connecting:
            raise OperationalError("another attempt is under way")
        self.connecting = True
        try:
            raw = super().get_new_connection(conn_params)
        except Database.Error:
            self.connecting = False
            raise
        self.connecting = False
        return raw
