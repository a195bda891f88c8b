"""Correct: each thread has two sessions for each alias, used in turn, which end when the thread's object is gone."""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from zoo.careful import Careful

EACH = 2


class Shelf(list[Any]):
    """Goes when the thread does."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = os.getpid()

    def __del__(self) -> None:
        if self.pid == os.getpid():
            for raw in self:
                raw.close()


class DatabaseWrapper(Careful):
    own: ClassVar[WeakKeyDictionary[threading.Thread, dict[Any, Any]]] = WeakKeyDictionary()

    @property
    def shelf(self) -> list[Any]:
        mine = self.own.setdefault(threading.current_thread(), {})
        shelf: list[Any] = mine.setdefault((os.getpid(), self.alias, self.settings_dict["NAME"]), Shelf())
        return shelf

    def close_waiting(self) -> None:
        """Those of all threads."""
        super().close_waiting()
        with self.lock:
            shelves = [shelf for mine in self.own.values() for key, shelf in mine.items() if key[0] == os.getpid()]
            waiting = [shelf.pop() for shelf in shelves for _ in list(shelf)]
        for raw in waiting:
            raw.close()

    def from_shelf(self) -> Any:
        """None as long as the thread has too few; else the one that has waited longest."""
        if len(self.shelf) < EACH:
            return None
        self.shelf.append(self.shelf.pop(0))
        return super().from_shelf()
