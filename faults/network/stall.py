"""Stall and resume: a connection that was given up comes back to life, with answers to questions of long ago."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults.network._silence import look_out
from lab.fault import Fault, Seen, Site, fault


@fault("stall", family="network", lasting=True, exclusive=True, waits=True)
class Stall(Fault):
    """Nothing passes until the heal, and then everything that was held back: silence without loss.

    The proxy's process is stopped, so its kernel goes on acknowledging; updating a toxic instead could wedge it.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Freeze the proxy's server; healing thaws it. No other network fault can be applied meanwhile."""
        seen = look_out(site)
        site.link.freeze()
        try:
            yield seen
        finally:
            site.link.thaw()
