"""Half-close: one direction has ended and the other works on, so that writing still succeeds."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import AtMoment, acting
from lab.fault import Seen, Site, fault
from lab.records.words import Sides


@fault("half-close", family="wire", lasting=True, lazy=True, waits=True, heal_cuts=True, needs={"wire"})
class HalfClose(AtMoment):
    """From the `moment` on `sides` read the end of the stream while what they send is still taken."""

    sides: Sides = "both"

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; healing ends the connection."""
        return acting(site, self.moment, "half-close", self.sides, site.wire.sever)
