"""Correct: kept on a shelf for each alias, as clean as new."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    pass
