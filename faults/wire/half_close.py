"""Half-close."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import ANSWER_LOST, MomentText, acting
from lab.fault import Fault, Seen, Sides, Site, fault


@fault("half-close", family="wire", lasting=True, lazy=True, waits=True, heal_cuts=True, needs={"wire"})
class HalfClose(Fault):
    """From the `moment` on `sides` read the end of the stream while what they send is still taken."""

    moment: MomentText = ANSWER_LOST
    sides: Sides = "both"

    def prepare(self, site: Site) -> None:
        """Refuse a moment that is none before anything begins."""
        site.wire.check(self.moment)

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; healing ends the connection."""
        return acting(site, self.moment, "half-close", self.sides, site.wire.sever)
