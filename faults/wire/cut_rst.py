"""Cut with RST."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import ANSWER_LOST, MomentText, acting
from lab.fault import Fault, Seen, Sides, Site, fault


@fault("cut-rst", family="wire", lazy=True, needs={"wire"})
class CutRst(Fault):
    """The connection is reset on `sides` when the `moment` comes, as by a firewall that has lost its state."""

    moment: MomentText = ANSWER_LOST
    sides: Sides = "both"

    def prepare(self, site: Site) -> None:
        """Refuse a moment that is none before anything begins."""
        site.wire.check(self.moment)

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; there is nothing to heal."""
        return acting(site, self.moment, "rst", self.sides)
