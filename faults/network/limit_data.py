"""Limit data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from typing import Annotated

import msgspec

from lab.fault import Fault, Seen, Sighting, Site, Stream, fault


@fault("limit-data", family="network", lazy=True, heal_cuts=True)
class LimitData(Fault):
    """Each connection ends after exactly `limit_bytes` more bytes of one direction; 0 swallows the next one and ends.

    Downstream 0 while a transaction is open: its COMMIT is executed and the answer is lost.
    """

    limit_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    stream: Stream = "downstream"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Set the limit, on connections that are there too; seen when one of them, or a new one, ends on it."""
        sockets = {socket.port for socket in site.sockets() if socket.state == "ESTABLISHED"}
        sessions = tuple(session.id for session in site.sessions())
        site.link.add("limit_data", self.stream, limit_bytes=self.limit_bytes)

        def seen() -> Sighting | None:
            alive = {socket.port for socket in site.sockets() if socket.state == "ESTABLISHED"}
            if sockets:
                return Sighting("a connection ended at the limit", sessions) if sockets - alive else None
            # Nothing was connected: whoever connects meets it, as a ping does when the limit is that small.
            short = self.limit_bytes < 1 and site.ping(0.5) is None
            return Sighting("a fresh connection ended at the limit") if short else None

        try:
            yield seen
        finally:
            site.link.accept()
