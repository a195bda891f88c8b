"""Broken: a thread that ends gives up the session it took last, not those of its other aliases."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    taken: ClassVar[list[Any]] = []

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        held = vars(self.leases)["held"]
        self.taken.append(raw)
        for other in [key for key in held if key != id(raw)]:
            held.pop(other).raw = None
        return raw

    def _close(self) -> None:
        if self.connection in self.taken:
            self.taken.remove(self.connection)
        super()._close()
