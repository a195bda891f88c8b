"""Broken: a session that took a lost one's place is not known to be its process's: a child goes on with it."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    replacements: ClassVar[dict[str, Any]] = {}
    forked: ClassVar[bool] = False
    lost = False

    def works(self, raw: Any) -> bool:
        found = super().works(raw)
        self.lost |= not found
        return found

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        if self.lost:
            self.replacements[self.alias] = raw
        self.lost = False
        return raw

    def from_shelf(self) -> Any:
        raw = self.replacements.get(self.alias) if self.forked else None
        return raw if raw is not None and not raw.closed else super().from_shelf()


def child() -> None:
    DatabaseWrapper.forked = True


os.register_at_fork(after_in_child=child)
