"""Slicer: a message in many pieces is still one message."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated

import msgspec

from faults.network._slow import slowed
from lab.fault import Fault, Seen, Site, fault

QUESTION_BYTES = 100


@fault("slicer", family="network", lasting=True, heal_cuts=True)
class Slicer(Fault):
    """What the client sends arrives in pieces of `size` bytes, `delay_us` microseconds apart."""

    size: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    delay_us: Annotated[int, msgspec.Meta(ge=500, le=1_000_000)] = 500

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Slice the client's data, on connections that are there too; healing ends them."""
        least = (QUESTION_BYTES // self.size - 1) * self.delay_us / 1e6
        pieces = {"average_size": self.size, "size_variation": 0, "delay_us": self.delay_us}
        return slowed(site, least, QUESTION_BYTES, "slicer", "upstream", **pieces)
