"""Broken: a session is reset before the next request's first statement, unless that is in a block."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    due: ClassVar[set[int]] = set()

    def reset(self, raw: Any) -> None:
        self.due.add(id(raw))

    def create_cursor(self, name: str | None = None) -> Any:
        raw = self.connection
        if id(raw) in self.due and raw.autocommit:
            self.due.discard(id(raw))
            super().reset(raw)
            self.init_connection_state()
        return super().create_cursor(name)
