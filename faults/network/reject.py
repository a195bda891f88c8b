"""Reject connections: the TCP handshake succeeds and the session fails, which a check of the port alone misses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults.network._ended import established
from lab.fault import Fault, Seen, Sighting, Site, fault
from lab.timing import KNOCK


@fault("reject", family="network", lasting=True, connecting=True)
class Reject(Fault):
    """Every connection ends, and new ones are ended as soon as they are there, as by a proxy whose server is down.

    Unlike refused ones they can be counted.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Leave the line without a server; healing gives it back."""
        before = site.established()
        sessions = tuple(session.id for session in site.sessions())

        def seen() -> Sighting | None:
            knock = site.knock(KNOCK.seconds)
            if knock.answered or knock.end not in ("fin", "rst") or before & established(site.sockets(before)):
                return None
            return Sighting(f"a fresh connection is ended at once, {len(before)} others have ended", sessions)

        try:
            site.link.turn_away()
            yield seen
        finally:
            site.link.accept()
