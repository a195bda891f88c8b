"""Broken: only the first session of the process is set up."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as Stock

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    done = False

    def init_connection_state(self) -> None:
        if not DatabaseWrapper.done:
            DatabaseWrapper.done = True
            Stock.init_connection_state(self)
