"""Stall at a moment."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import ANSWER_LOST, MomentText, acting
from lab.fault import Fault, Seen, Sides, Site, fault


@fault("hold", family="wire", lasting=True, lazy=True, waits=True, needs={"wire"})
class Hold(Fault):
    """From the `moment` on nothing is passed on to `sides`, neither bytes nor an end; the heal lets all of it pass.

    The connection that it meets alone, where `stall` holds every one.
    """

    moment: MomentText = ANSWER_LOST
    sides: Sides = "both"

    def prepare(self, site: Site) -> None:
        """Refuse a moment that is none before anything begins."""
        site.wire.check(self.moment)

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; healing lets pass what was held."""
        return acting(site, self.moment, "stall", self.sides, site.wire.resume)
