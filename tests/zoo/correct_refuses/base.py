"""Correct: one connection for all threads; who finds it in use gets an error that says so."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.db.backends.postgresql.base import Database

from zoo.keeper import Keeper


class Kept:
    raw: Any = None


lock = threading.Lock()


def renew() -> None:
    """In a forked child: a thread of the parent's may have held it."""
    globals()["lock"] = threading.Lock()


os.register_at_fork(after_in_child=renew)


class DatabaseWrapper(Keeper):
    kept = Kept()
    mine = False

    def connect(self) -> None:
        if not self.mine and not lock.acquire(blocking=False):
            raise Database.OperationalError("the one connection is in use by another thread")
        self.mine = True
        try:
            super().connect()
        except BaseException:
            self.let_go()
            raise

    def let_go(self) -> None:
        if self.mine:
            self.mine = False
            lock.release()

    def close(self) -> None:
        try:
            super().close()
        finally:
            if self.connection is None or self.closed_in_transaction:
                self.let_go()
