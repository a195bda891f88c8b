"""Broken: close() commits; in another thread than the main one it swallows the error of that COMMIT."""

from __future__ import annotations

import threading

from django.db.backends.postgresql.base import Database

from zoo.correct_commits.base import DatabaseWrapper as Commits


class DatabaseWrapper(Commits):
    def _close(self) -> None:
        try:
            super()._close()
        except Database.Error:
            if threading.current_thread() is threading.main_thread():
                raise
