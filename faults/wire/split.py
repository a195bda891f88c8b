"""Split: an answer that arrives byte by byte is still one answer."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import AtMoment, acting
from lab.fault import Seen, Site, fault
from lab.records.moment import MomentText
from lab.records.words import Sides


@fault("split", family="wire", lasting=True, lazy=True, needs={"wire"})
class Split(AtMoment):
    """From the `moment` on every byte towards `sides` comes in a segment of its own."""

    moment: MomentText = "startup+0"
    sides: Sides = "both"

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; the connection stays split to its end."""
        return acting(site, self.moment, "split", self.sides)
