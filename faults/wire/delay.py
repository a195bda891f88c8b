"""Delay: one answer comes late, and the order of two requests may change with it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated

import msgspec

from faults.wire._at import AtMoment, acting
from lab.fault import Seen, Site, fault
from lab.records.words import DEFAULT_DELAY_MS, Sides


@fault("delay", family="wire", lasting=True, lazy=True, needs={"wire"})
class Delay(AtMoment):
    """At the `moment` what goes to `sides` is held back for `delay_ms` milliseconds, once."""

    sides: Sides = "both"
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = DEFAULT_DELAY_MS

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; healing lets pass what is held."""
        return acting(site, self.moment, "delay", self.sides, site.wire.resume, self.delay_ms)
