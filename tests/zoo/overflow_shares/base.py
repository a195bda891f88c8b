"""Broken: a pool of two; the third who asks shares the session that was taken first."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    out: ClassVar[dict[str, list[Any]]] = {}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        out = self.out.setdefault(self.alias, [])
        out[:] = [raw for raw in out if not raw.closed]
        if len(out) >= 2:
            return out[0]
        raw = super().get_new_connection(conn_params)
        out.append(raw)
        return raw

    def _close(self) -> None:
        raw = self.connection
        super()._close()
        out = self.out.setdefault(self.alias, [])
        if raw in out:
            out.remove(raw)
