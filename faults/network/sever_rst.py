"""Sever with RST: the kept connection is dead without a goodbye, and the next request must not pay for it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.network._ended import severed
from lab.fault import Fault, Seen, Site, fault


@fault("sever-rst", family="network")
class SeverRst(Fault):
    """Every connection of the plan ends with RST, as when a firewall has forgotten it; new ones are accepted.

    Toxiproxy's reset_peer reaches only connections opened after it was added, so the line is armed beforehand.
    """

    def prepare(self, site: Site) -> None:
        """Arm the line before the first connection."""
        site.link.arm_reset()

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Cut; there is nothing to heal."""
        return severed(site, "rst")
