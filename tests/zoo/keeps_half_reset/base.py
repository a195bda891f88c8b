"""Broken: a session of which the reset was broken off by a signal's exception is kept as if it had been reset."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful

PARTS = ("CLOSE ALL", "UNLISTEN *", "SELECT pg_advisory_unlock_all()", "RESET ALL", "DISCARD TEMP", "DISCARD ALL")


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        for part in PARTS:
            raw.cursor().execute(part)

    def left_midway(self, raw: Any) -> None:
        if raw.info.transaction_status == 0:
            self.shelf.append(raw)
        else:
            raw.close()
