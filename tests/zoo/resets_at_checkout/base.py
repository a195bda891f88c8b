"""Broken: one question at checkout resets a session and shows that it lives; while it waits it holds what it held."""

from __future__ import annotations

from typing import Any

from zoo.careful import Careful, Database


class DatabaseWrapper(Careful):
    def reset(self, raw: Any) -> None:
        pass

    def works(self, raw: Any) -> bool:
        try:
            super().reset(raw)
        except Database.Error:
            return False
        return True
