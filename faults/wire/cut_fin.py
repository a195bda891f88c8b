"""Cut with FIN: the session ends inside a chosen message, where the protocol leaves open what the server has done."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import AtMoment, cutting
from lab.fault import Seen, Site, fault
from lab.records.words import Sides


@fault("cut-fin", family="wire", lazy=True, needs={"wire"})
class CutFin(AtMoment):
    """The connection ends with FIN on `sides` when the `moment` comes, e.g. once COMMIT is sent and not yet answered.

    By default at the first answer to a statement, before a byte of it passes. The other side, where one alone is hit,
    is told nothing until the heal.
    """

    sides: Sides = "both"

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; what one side alone was left with ends at the heal."""
        return cutting(site, self.moment, "fin", self.sides)
