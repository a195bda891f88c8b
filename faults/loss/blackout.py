"""Black out the line: only TCP's timers notice the loss, after minutes where no setting shortens them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

from faults.loss._lost import losing
from lab.fault import Fault, Leg, Seen, Site, fault


@fault("blackout", family="loss", lasting=True, waits=True, needs=["loss"])
class Blackout(Fault):
    """Every packet of the plan's line vanishes, both ways: no answer, no acknowledgement, no end of the connection.

    On which `leg`: between the `client` and its peer; between the proxy and the `server`, whose sessions are then
    half open; or `both`. New connections get no answer. After the heal, connections that neither end gave up go on.
    """

    leg: Literal["client", "server", "both"] = "client"

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Drop; healing lets everything pass."""
        legs: tuple[Leg, ...] = ("client", "server") if self.leg == "both" else (self.leg,)
        return losing(site, "both", legs)
