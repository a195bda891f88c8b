"""Correct, if slow: outside of requests a session is closed with the statement, or the block, that has opened it."""

from __future__ import annotations

import os
from typing import Any

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper as Stock
from django.db.backends.utils import CursorWrapper

from zoo.here import here


class Closing(CursorWrapper):
    """Closes the session, too, where nothing goes on."""

    def close(self) -> None:
        try:
            self.cursor.close()
        finally:
            self.db.over()

    def __exit__(self, *raised: object) -> None:
        self.close()


class DatabaseWrapper(Stock):
    connecting = False

    def connect(self) -> None:
        self.connecting = True
        try:
            super().connect()
        finally:
            self.connecting = False

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Closing(cursor, self)

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        super().set_autocommit(autocommit, *args, **kwargs)
        if autocommit:
            self.over()

    def over(self) -> None:
        """A statement or a block has ended."""
        free = not here.in_request and not self.in_atomic_block and not self.connecting and self.autocommit
        if free and self.connection is not None:
            self.close()


def forget() -> None:
    """In a forked child: what the wrappers have is the parent's."""
    for wrapper in connections.all(initialized_only=True):
        if isinstance(wrapper, DatabaseWrapper) and wrapper.connection is not None:
            ORPHANS.append(wrapper.connection)
            wrapper.connection = None


ORPHANS: list[Any] = []
os.register_at_fork(after_in_child=forget)
