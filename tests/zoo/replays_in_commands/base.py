"""Broken: outside of requests, in commands and workers, a statement whose answer was lost is sent again."""

from __future__ import annotations

import threading
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import InterfaceError, OperationalError
from django.db.backends.utils import CursorWrapper

from zoo.careful import Careful


class Here(threading.local):
    """What is known of the current thread."""

    in_request = False


here = Here()


def begin(**_: Any) -> None:
    here.in_request = True


def end(**_: Any) -> None:
    here.in_request = False


request_started.connect(begin)
request_finished.connect(end)


class Again(CursorWrapper):
    def execute(self, sql: Any, params: Any = None) -> Any:
        try:
            return super().execute(sql, params)
        except (OperationalError, InterfaceError):
            if here.in_request or self.db.in_atomic_block:
                raise
            self.db.close()
            self.db.ensure_connection()
            self.cursor = self.db.connection.cursor()
            return super().execute(sql, params)


class DatabaseWrapper(Careful):
    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return Again(cursor, self)
