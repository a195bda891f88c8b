"""Broken: after connecting has failed once the wrapper believes that it is connecting for ever."""

from __future__ import annotations

from django.db.backends.postgresql.base import Database
from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    connecting = False

    def connect(self) -> None:
        if self.connecting:
            raise Database.InterfaceError("already connecting")
        self.connecting = True
        super().connect()
        self.connecting = False
