"""Cut with FIN."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import ANSWER_LOST, MomentText, acting
from lab.fault import Fault, Seen, Sides, Site, fault


@fault("cut-fin", family="wire", lazy=True, needs={"wire"})
class CutFin(Fault):
    """The connection ends with FIN on `sides` when the `moment` comes, e.g. once COMMIT is sent and not yet answered.

    By default at the first answer to a statement, before a byte of it passes.
    """

    moment: MomentText = ANSWER_LOST
    sides: Sides = "both"

    def prepare(self, site: Site) -> None:
        """Refuse a moment that is none before anything begins."""
        site.wire.check(self.moment)

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; there is nothing to heal."""
        return acting(site, self.moment, "fin", self.sides)
