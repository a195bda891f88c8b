"""Correct: a process that was forked opens a session for each alias that its parent had used, before it is asked."""

from __future__ import annotations

import os

from django.db import connections
from django.db.utils import Error

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    used = False

    def connect(self) -> None:
        super().connect()
        self.used = True

    def warm(self) -> None:
        try:
            with self.wrap_database_errors:
                raw = self.fresh(self.get_connection_params())
            raw.autocommit = True
        except Error:
            return
        self.shelf.append(raw)


def warm() -> None:
    for wrapper in connections.all(initialized_only=True):
        if isinstance(wrapper, DatabaseWrapper) and wrapper.used:
            wrapper.warm()


os.register_at_fork(after_in_child=warm)
