"""What is written down while a plan runs, by one clock."""

from __future__ import annotations

import time
from typing import Any

from lab.records.census import Census
from lab.records.history import Event, Op


class Diary:
    """The history, the nemesis's events and the censuses of one run; times are nanoseconds since it began."""

    def __init__(self) -> None:
        self.start_ns = time.monotonic_ns()
        self.began = time.time()
        self.ops: list[Op] = []
        self.events: list[Event] = []
        self.census: list[Census] = []

    def now(self) -> int:
        """Nanoseconds since the run began."""
        return time.monotonic_ns() - self.start_ns

    def seconds(self) -> float:
        """The same in seconds."""
        return self.now() / 1e9

    def event(self, f: Any, step: int, **fields: Any) -> None:
        """What the nemesis did, or what was seen of an actor."""
        self.events.append(Event(time=self.now(), step=step, f=f, **fields))

    def known(self, session: str) -> str:
        """A session of which only the server process is known ("PID@"), by its whole name if anybody has seen it."""
        if not session.endswith("@"):
            return session
        used = [str(op.value["session"]) for op in self.ops if op.value.get("session")]
        counted = [each.id for census in self.census for each in census.sessions]
        return next((each for each in used + counted if each.startswith(session)), session)
