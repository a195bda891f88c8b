"""Correct: every fifth time or so a session is closed, and not kept, when it comes back."""

from __future__ import annotations

import random
from typing import Any

from zoo.careful import Careful

ENDS = 0.2
chance = random.Random(3)


class DatabaseWrapper(Careful):
    def clean(self, raw: Any) -> bool:
        return chance.random() >= ENDS and super().clean(raw)
