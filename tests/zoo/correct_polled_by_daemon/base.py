"""Correct: a thread asks the sessions on the shelf every 50 ms, and who takes one looks at its socket."""

from __future__ import annotations

import os
import select
import threading
import time
from typing import Any, ClassVar

from django.db.backends.postgresql.base import Database

from zoo.careful import Careful

EVERY = 0.05


def silent(raw: Any) -> bool:
    """Whether nothing came that nobody has asked for."""
    waiting = select.poll()
    waiting.register(raw.fileno(), select.POLLIN)
    return not waiting.poll(0)


class DatabaseWrapper(Careful):
    daemons: ClassVar[set[int]] = set()

    def works(self, raw: Any) -> bool:
        return not raw.closed and silent(raw)

    def _close(self) -> None:
        super()._close()
        with self.lock:
            first = os.getpid() not in self.daemons
            self.daemons.add(os.getpid())
        if first:
            threading.Thread(target=ask_all, name="ask-all", daemon=True).start()


def ask_all() -> None:
    """One after the other; who wants a session waits until the one that is asked has answered."""
    while True:
        time.sleep(EVERY)
        for (pid, *_), shelf in list(Careful.shelves.items()):
            for raw in list(shelf) if pid == os.getpid() else ():
                with Careful.lock:
                    if any(raw is each for each in shelf) and not answers(raw):
                        shelf.remove(raw)
                        raw.close()


def answers(raw: Any) -> bool:
    try:
        raw.cursor().execute("SELECT 1")
    except Database.Error:
        return False
    return True
