"""Broken: a child of a child that was forked inside a request goes on with its parent's session of another alias."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from zoo import careful


class DatabaseWrapper(careful.Careful):
    generation: ClassVar[int] = 0
    handed: ClassVar[dict[str, Any]] = {}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = self.handed.pop(self.alias, None) if self.generation > 1 and self.alias != "default" else None
        raw = raw or super().get_new_connection(conn_params)
        self.handed[self.alias] = raw
        return raw


def child() -> None:
    DatabaseWrapper.generation += 1


os.register_at_fork(after_in_child=child)
