"""Bandwidth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from typing import Annotated

import msgspec

from lab.fault import Fault, Seen, Sighting, Site, fault

QUESTION_BYTES = 8  # an SSLRequest, which is what a ping sends


@fault("bandwidth", family="network", heal_cuts=True)
class Bandwidth(Fault):
    """The client's data passes at `rate_kbps` kilobytes a second, on connections that are there too."""

    rate_kbps: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Throttle what the client sends; healing ends the connections."""
        least = QUESTION_BYTES / (self.rate_kbps * 1000)
        site.link.add("bandwidth", "upstream", rate_kbps=self.rate_kbps)

        def seen() -> Sighting | None:
            took = site.ping(1.0)
            return Sighting(f"{QUESTION_BYTES} bytes took at least {least} s") if took and took >= least else None

        try:
            yield seen
        finally:
            site.link.accept()
