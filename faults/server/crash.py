"""Crash the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults.server.ended import look_out
from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("crash", family="server", exclusive=True, needs=["crash"])
class Crash(Fault):
    """SIGKILL of the postmaster, then a start with recovery from the log: what was acknowledged must be there."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Crash, start and wait for the server; there is nothing to heal."""
        sessions, epoch = site.sessions(), site.server.epoch()
        site.server.crash()
        gone = look_out(site, sessions)

        def seen() -> Sighting | None:
            if site.server.epoch() == epoch:
                return None
            return gone() if sessions else Sighting("another server run, no session was open")

        yield seen
