"""Sever with FIN: the kept connection is dead in good order, and the next request must not pay for it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.network._ended import severed
from lab.fault import Fault, Seen, Site, fault


@fault("sever-fin", family="network")
class SeverFin(Fault):
    """Every connection of the plan ends with FIN, as when a load balancer drops them; new ones are accepted."""

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Cut; there is nothing to heal."""
        return severed(site, "fin")
