"""Refuse connections: the old session is dead and no new one is to be had; the error must be honest and prompt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults.network._ended import established
from lab.fault import Fault, Seen, Sighting, Site, fault
from lab.timing import KNOCK


@fault("refuse", family="network", lasting=True)
class Refuse(Fault):
    """Every connection ends and new ones are refused (ECONNREFUSED) until the heal, as when the server is down."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Close the listener; healing opens it again."""
        before = site.established()
        sessions = tuple(session.id for session in site.sessions())

        def seen() -> Sighting | None:
            if site.knock(KNOCK.seconds).end != "refused" or before & established(site.sockets(before)):
                return None
            return Sighting(f"a fresh connection is refused, {len(before)} others have ended", sessions)

        try:
            site.link.refuse()
            yield seen
        finally:
            site.link.accept()
