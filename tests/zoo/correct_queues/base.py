"""Correct: three sessions in a queue for each alias and database; who comes fourth waits in line for two seconds."""

from __future__ import annotations

import os
import queue
from collections import defaultdict
from contextlib import suppress
from typing import Any, ClassVar

from django.db.utils import OperationalError

from zoo.careful import Careful


class Place:
    """The right to one session: back in the queue once, by hand or with the thread that had it."""

    def __init__(self, places: queue.LifoQueue[Any]) -> None:
        self.places: queue.LifoQueue[Any] | None = places

    def give(self, raw: Any = None) -> None:
        places, self.places = self.places, None
        if places is not None:
            places.put(raw)

    def __del__(self) -> None:
        self.give()


def three() -> queue.LifoQueue[Any]:
    places: queue.LifoQueue[Any] = queue.LifoQueue()
    for _ in range(3):
        places.put(None)
    return places


class DatabaseWrapper(Careful):
    queues: ClassVar[Any] = defaultdict(three)

    @property
    def key(self) -> tuple[int, str, str]:
        """A test run has a database of its own under the same alias."""
        return os.getpid(), self.alias, self.settings_dict["NAME"]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        places = self.queues[self.key]
        try:
            raw = places.get(timeout=2)
        except queue.Empty:
            raise OperationalError("queue: three are served, and none has done within 2 s") from None
        place = Place(places)
        if raw is not None:
            self.shelf.append(raw)
        try:
            raw = super().get_new_connection(conn_params)
        except BaseException:
            place.give()
            raise
        vars(self.leases).setdefault("places", {})[self.alias] = place
        return raw

    @property
    def shelf(self) -> list[Any]:
        """This thread's, between the queue and the wrapper."""
        shelves: dict[Any, list[Any]] = vars(self.leases).setdefault("shelf", {})
        return shelves.setdefault(self.key, [])

    def close_waiting(self) -> None:
        """Those in the queues: each place is empty then."""
        super().close_waiting()
        for (pid, *_), places in list(self.queues.items()):
            found = []
            with suppress(queue.Empty):
                while pid == os.getpid():
                    found.append(places.get_nowait())
            for raw in found:
                if raw is not None:
                    raw.close()
                places.put(None)

    def _close(self) -> None:
        super()._close()
        place = vars(self.leases).get("places", {}).pop(self.alias, None)
        if place is not None:
            place.give(self.shelf.pop() if self.shelf else None)
