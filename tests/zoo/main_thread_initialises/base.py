"""Broken: a session that another thread than the main one opens is not set up."""

from __future__ import annotations

import threading

from zoo.careful import Careful


class DatabaseWrapper(Careful):
    def init_connection_state(self) -> None:
        if threading.current_thread() is threading.main_thread():
            super().init_connection_state()
