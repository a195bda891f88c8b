"""Broken: "read-only" costs the session that was told so, and others of the same server go on."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def suspect_others(self) -> None:
        pass
