"""Latency."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from typing import Annotated

import msgspec

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("latency", family="network", heal_cuts=True)
class Latency(Fault):
    """Answers come `latency_ms` milliseconds late (give or take `jitter_ms`), on connections that are there too."""

    latency_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 200
    jitter_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Delay the server's data; healing ends the connections."""
        least = max(self.latency_ms - self.jitter_ms, 0) / 1000
        site.link.add("latency", "downstream", latency_ms=self.latency_ms, jitter_ms=self.jitter_ms)

        def seen() -> Sighting | None:
            took = site.ping(least + self.jitter_ms / 500 + 1.0)
            return Sighting(f"an answer took at least {least} s") if took is not None and took >= least else None

        try:
            yield seen
        finally:
            site.link.accept()
