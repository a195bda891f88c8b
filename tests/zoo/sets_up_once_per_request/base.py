"""Broken: a session that was closed by hand is reset, and when its request goes on nobody sets it up again."""

from __future__ import annotations

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    set_up = False

    def close_if_unusable_or_obsolete(self) -> None:
        super().close_if_unusable_or_obsolete()
        self.set_up = False

    def init_connection_state(self) -> None:
        if not self.set_up:
            super().init_connection_state()
        self.set_up = True
