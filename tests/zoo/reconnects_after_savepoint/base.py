"""Broken: with an inner atomic() it takes the outer one to be left too, and replaces a lost connection in silence."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    released = False

    def _savepoint_commit(self, sid: str) -> None:
        super()._savepoint_commit(sid)
        self.released = True

    def set_autocommit(self, *args: Any, **kwargs: Any) -> None:
        self.released = False
        super().set_autocommit(*args, **kwargs)

    def _cursor(self, name: Any = None) -> Any:
        if self.released and self.connection is not None and not self.is_usable():
            self.connection = self.get_new_connection(self.get_connection_params())
            self._set_autocommit(False)
        return super()._cursor(name)
