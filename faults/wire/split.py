"""Split."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import MomentText, acting
from lab.fault import Fault, Seen, Sides, Site, fault


@fault("split", family="wire", lasting=True, lazy=True, needs={"wire"})
class Split(Fault):
    """From the `moment` on every byte towards `sides` comes in a segment of its own."""

    moment: MomentText = "startup+0"
    sides: Sides = "both"

    def prepare(self, site: Site) -> None:
        """Refuse a moment that is none before anything begins."""
        site.wire.check(self.moment)

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; the connection stays split to its end."""
        return acting(site, self.moment, "split", self.sides)
