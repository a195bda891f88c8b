"""Broken: a session that was lost takes those of the other aliases with it."""

from __future__ import annotations

from django.db import connections

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def _close(self) -> None:
        lost = self.connection is not None and self.connection.closed
        super()._close()
        if lost:
            for shelf in self.shelves.values():
                while shelf:
                    shelf.pop().close()
            for wrapper in connections.all(initialized_only=True):
                if wrapper is not self and wrapper.connection is not None:
                    wrapper.connection.close()
