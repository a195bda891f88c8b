"""Correct, with a maximum that must be stated: two threads keep a session of their own, the others share three more.

So five sessions may wait after one request at a time, and it depends on the number of threads whether they do.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import Any, ClassVar

from zoo.careful import Careful

OWNERS, SHARED = 2, 3


class Own(list[Any]):
    """Where the session of one thread waits; given up, and the session closed, when the thread ends."""

    def __init__(self, owners: Counter[Any], key: Any) -> None:
        super().__init__()
        self.owners, self.key = owners, key

    def __del__(self) -> None:
        if self.key[0] == os.getpid():
            self.owners[self.key] -= 1
            while self:
                self.pop().close()


class DatabaseWrapper(Careful):
    owners: ClassVar[Counter[Any]] = Counter()
    own: ClassVar[Any] = threading.local()
    returning = False

    @property
    def shelf(self) -> list[Any]:
        """The thread's own where it has one that can be taken, or be put there; else the one that others share."""
        key = os.getpid(), self.alias, self.settings_dict["NAME"]
        places = vars(self.own)
        if self.returning and key not in places and self.owners[key] < OWNERS:
            self.owners[key] += 1
            places[key] = Own(self.owners, key)
        own: list[Any] | None = places.get(key)
        return own if own is not None and bool(own) != self.returning else super().shelf

    def close_waiting(self) -> None:
        """The thread's own ones, too."""
        super().close_waiting()
        for own in vars(self.own).values():
            while own:
                own.pop().close()

    def _close(self) -> None:
        self.returning = True
        try:
            super()._close()
        finally:
            self.returning = False

    def clean(self, raw: Any) -> bool:
        """False too where there is no place for it."""
        return super().clean(raw) and len(self.shelf) < SHARED
