"""Broken: a statement that was interrupted is cancelled by a thread in the background, for which nobody waits."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import Error
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Cancelling(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except Error:
            raise
        except BaseException:
            threading.Thread(target=cancel, args=(self.db.connection,), daemon=True).start()
            raise


def cancel(raw: Any) -> None:
    time.sleep(0.3)
    raw.cancel()


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Cancelling(cursor, self)
