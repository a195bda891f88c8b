"""Broken: a timer is to cancel what takes a second; an error does not stop it, so it cancels what comes later."""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Timed(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        timer = threading.Timer(1.0, self.db.connection.cancel)
        timer.daemon = True
        timer.start()
        result = super().execute(sql, params)
        timer.cancel()
        return result


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Timed(cursor, self)
