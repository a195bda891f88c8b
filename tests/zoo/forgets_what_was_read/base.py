"""Broken: notifications that the driver has read, and the request has not, are there for the next one."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        raw.cursor().execute("DISCARD ALL")
