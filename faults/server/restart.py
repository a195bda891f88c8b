"""Restart the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from typing import Literal

from faults.server.ended import look_out
from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("restart", family="server", exclusive=True, needs=["restart"])
class Restart(Fault):
    """The server is stopped, `fast` (sessions are told) or `immediate` (they just end, then recovery), and started."""

    mode: Literal["fast", "immediate"] = "fast"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Restart and wait for the server; there is nothing to heal."""
        sessions, epoch = site.sessions(), site.server.epoch()
        site.server.restart(self.mode)
        gone = look_out(site, sessions)

        def seen() -> Sighting | None:
            if site.server.epoch() == epoch:
                return None
            return gone() if sessions else Sighting("another server run, no session was open")

        yield seen
