"""Take the network down: no path is left, not even for a second try on another connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault
from lab.timing import KNOCK


@fault("link-down", family="loss", exclusive=True, lasting=True, waits=True, needs=["link"])
class LinkDown(Fault):
    """The interface that everything goes over is down: silence on every connection of the rig, the proxy's as well.

    No other fault of the network can be applied until the heal.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Take it down; healing takes it up, and connections that neither end gave up go on."""
        struck = tuple(session.id for session in site.sessions())
        # Answered by the server: a connection that the proxy still makes would keep the next one waiting for a second.
        passed = site.knock(KNOCK.seconds).answered
        before = site.net.link_drops()

        def seen() -> Sighting | None:
            if not passed or site.net.answers() is not False:
                return None
            dropped = site.net.link_drops() - before
            return Sighting(f"{dropped} packets refused by an interface that is down", struck) if dropped > 0 else None

        try:
            site.net.link_down()
            yield seen
        finally:
            site.net.link_up()
