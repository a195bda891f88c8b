"""Broken: the process is ended by a signal when a connection is lost."""

from __future__ import annotations

import os
import signal

from django.db.backends.postgresql.base import DatabaseWrapper as Stock


class DatabaseWrapper(Stock):
    def is_usable(self) -> bool:
        if not super().is_usable():
            os.kill(os.getpid(), signal.SIGSEGV)
        return True
