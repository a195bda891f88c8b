"""Broken: what is reset at a request's end is the first session that it had, also where it has closed that by hand."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    first: Any = None

    def connected(self, raw: Any) -> None:
        super().connected(raw)
        self.first = self.first or raw

    def reset(self, raw: Any) -> None:
        super().reset(self.first or raw)

    def close_if_unusable_or_obsolete(self) -> None:
        super().close_if_unusable_or_obsolete()
        self.first = None
