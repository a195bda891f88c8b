"""Broken: one connection for all threads, checked and reset, but handed as it is to a thread that waits for it."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from zoo.careful import Careful


class Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0


class DatabaseWrapper(Careful):
    turn: ClassVar[Turn] = Turn()
    handed: ClassVar[list[Any]] = []
    mine = False

    def connect(self) -> None:
        if not self.mine:
            self.turn.waiting += 1
            self.turn.lock.acquire()
            self.turn.waiting -= 1
            self.mine = True
        try:
            super().connect()
        except BaseException:
            self.let_go()
            raise

    def from_shelf(self) -> Any:
        return self.handed.pop() if self.handed else super().from_shelf()

    def _close(self) -> None:
        if self.turn.waiting and not self.in_atomic_block:
            self.handed.append(self.connection)
            return
        super()._close()

    def let_go(self) -> None:
        if self.mine:
            self.mine = False
            self.turn.lock.release()

    def close(self) -> None:
        try:
            super().close()
        finally:
            if self.connection is None or self.closed_in_transaction:
                self.let_go()
