"""Broken: where more than two sessions wait, the one that was opened first is closed, though it may be in use."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    opened: ClassVar[dict[Any, list[Any]]] = defaultdict(list)

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        self.opened[os.getpid(), self.alias].append(raw)
        return raw

    def _close(self) -> None:
        super()._close()
        opened = self.opened[os.getpid(), self.alias]
        with self.lock:
            first = opened.pop(0) if len(self.shelf) > 2 and opened else None
            if first in self.shelf:
                self.shelf.remove(first)
        if first is not None:
            first.close()
