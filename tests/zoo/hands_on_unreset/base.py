"""Broken: what a thread had that has ended is rolled back, and handed on as it is."""

from __future__ import annotations

import os
from typing import Any

from zoo.careful import Careful, Lease


class HandingOn(Lease):
    def __init__(self, raw: Any, shelf: list[Any]) -> None:
        super().__init__(raw)
        self.shelf = shelf

    def __del__(self) -> None:
        if self.raw is not None and self.pid == os.getpid():
            self.raw.rollback()
            self.shelf.append(self.raw)


class DatabaseWrapper(Careful):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        held = vars(self.leases)["held"]
        held[id(raw)].raw = None
        held[id(raw)] = HandingOn(raw, self.shelf)
        return raw
