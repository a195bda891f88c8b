"""Broken: a stale connection is replaced where a request begins with a query, not where it begins with atomic()."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    in_cursor = False

    def _cursor(self, name: Any = None) -> Any:
        self.in_cursor = True
        try:
            return super()._cursor(name)
        finally:
            self.in_cursor = False

    def works(self, raw: Any) -> bool:
        return not self.in_cursor or super().works(raw)
