"""Stall and resume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault

LISTEN = 0.1  # seconds without an answer after which a fresh connection counts as stalled


@fault("stall", family="network", exclusive=True, waits=True)
class Stall(Fault):
    """Nothing passes until the heal, and then everything that was held back: silence without loss.

    The proxy's process is stopped, so its kernel goes on acknowledging; updating a toxic instead could wedge it.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Freeze the proxy's server; healing thaws it."""
        site.link.freeze()
        try:
            yield lambda: None if site.ping(LISTEN) else Sighting(f"no answer within {LISTEN} s")
        finally:
            site.link.thaw()
