"""Sever with FIN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults.network.ended import look_out
from lab.fault import Fault, Seen, Site, fault


@fault("sever-fin", family="network")
class SeverFin(Fault):
    """Every connection of the plan ends with FIN, as when a load balancer drops them; new ones are accepted."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Cut; there is nothing to heal."""
        seen = look_out(site, "FIN")
        site.link.cut()
        yield seen
