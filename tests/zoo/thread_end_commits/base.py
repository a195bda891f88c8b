"""Broken: what a thread that ends has open is committed."""

from __future__ import annotations

import os
from typing import Any

from zoo import careful


class Lease(careful.Lease):
    def __del__(self) -> None:
        if self.raw is not None and self.pid == os.getpid() and not self.raw.closed:
            self.raw.commit()
        super().__del__()


class DatabaseWrapper(careful.Careful):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        held = vars(self.leases)["held"]
        held[id(raw)].raw = None
        held[id(raw)] = Lease(raw)
        return raw
