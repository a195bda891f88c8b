"""Correct: a session serves five requests and is closed when the fifth one gives it back."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.careful import Careful

MOST = 5


class DatabaseWrapper(Careful):
    served: ClassVar[dict[int, tuple[Any, int]]] = {}

    def fresh(self, conn_params: dict[str, Any]) -> Any:
        raw = super().fresh(conn_params)
        self.served[id(raw)] = raw, 0
        return raw

    def clean(self, raw: Any) -> bool:
        _, before = self.served.get(id(raw), (raw, 0))
        self.served[id(raw)] = raw, before + 1
        if before + 1 < MOST:
            return super().clean(raw)
        self.served.pop(id(raw))
        return False
