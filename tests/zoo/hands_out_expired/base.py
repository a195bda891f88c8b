"""Broken: a session is closed after five uses, and handed out once more."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    uses: ClassVar[Counter[int]] = Counter()

    def from_shelf(self) -> Any:
        raw = super().from_shelf()
        if raw is not None:
            self.uses[id(raw)] += 1
            if self.uses[id(raw)] == 5:
                raw.close()
        return raw
