"""Delay."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated

import msgspec

from faults.wire._at import ANSWER_LOST, MomentText, acting
from lab.fault import Fault, Seen, Sides, Site, fault


@fault("delay", family="wire", lasting=True, lazy=True, needs={"wire"})
class Delay(Fault):
    """At the `moment` whatever goes to `sides` is held back for `delay_ms` milliseconds, once."""

    moment: MomentText = ANSWER_LOST
    sides: Sides = "both"
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 100

    def prepare(self, site: Site) -> None:
        """Refuse a moment that is none before anything begins."""
        site.wire.check(self.moment)

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; healing lets pass what is held."""
        return acting(site, self.moment, "delay", self.sides, site.wire.resume, self.delay_ms)
