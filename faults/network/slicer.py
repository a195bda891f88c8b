"""Slicer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from typing import Annotated

import msgspec

from lab.fault import Fault, Seen, Sighting, Site, fault

QUESTION_BYTES = 8  # an SSLRequest, which is what a ping sends


@fault("slicer", family="network", heal_cuts=True)
class Slicer(Fault):
    """What the client sends arrives in pieces of `size` bytes, `delay_us` microseconds apart."""

    size: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
    delay_us: Annotated[int, msgspec.Meta(ge=200, le=1_000_000)] = 500

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Slice the client's data; healing ends the connections."""
        least = (QUESTION_BYTES // self.size - 1) * self.delay_us / 1e6
        site.link.add("slicer", "upstream", average_size=self.size, size_variation=0, delay_us=self.delay_us)

        def seen() -> Sighting | None:
            took = site.ping(least * 4 + 1.0)
            return Sighting(f"{QUESTION_BYTES} bytes took at least {least} s") if took and took >= least else None

        try:
            yield seen
        finally:
            site.link.accept()
