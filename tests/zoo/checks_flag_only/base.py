"""Broken: it asks the driver's flag, which does not know what the server did."""

from __future__ import annotations

from typing import Any

from zoo.keeper import Keeper


class DatabaseWrapper(Keeper):
    def works(self, raw: Any) -> bool:
        return not raw.closed
