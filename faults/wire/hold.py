"""Stall at a moment: the silence begins inside a chosen message of one connection."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import AtMoment, acting
from lab.fault import Seen, Site, fault
from lab.records.words import Sides


@fault("hold", family="wire", lasting=True, lazy=True, waits=True, needs={"wire"})
class Hold(AtMoment):
    """From the `moment` on nothing is passed on to `sides`, neither bytes nor an end; the heal lets all of it pass.

    The connection that it meets alone, where `stall` holds every one.
    """

    sides: Sides = "both"

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; healing lets pass what was held."""
        return acting(site, self.moment, "stall", self.sides, site.wire.resume)
