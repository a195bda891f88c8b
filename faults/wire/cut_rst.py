"""Cut with RST: the session ends inside a chosen message, with an error where FIN is an end of file."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import AtMoment, cutting
from lab.fault import Seen, Site, fault
from lab.records.words import Sides


@fault("cut-rst", family="wire", lazy=True, needs={"wire"})
class CutRst(AtMoment):
    """The connection is reset on `sides` when the `moment` comes, as by a firewall that has lost its state.

    The other side, where one alone is hit, is told nothing until the heal, as behind a path that has gone.
    """

    sides: Sides = "both"

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; what one side alone was left with ends at the heal."""
        return cutting(site, self.moment, "rst", self.sides)
