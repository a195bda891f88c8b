"""Bandwidth: a healthy connection that is slow must not be taken for a dead one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated

import msgspec

from faults.network._slow import slowed
from lab.fault import Fault, Seen, Site, fault

SECONDS = 0.06  # what the question that shows it shall take


@fault("bandwidth", family="network", lasting=True, heal_cuts=True)
class Bandwidth(Fault):
    """The client's data passes at `rate_kbps` kilobytes a second, on connections that are there too."""

    rate_kbps: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Throttle what the client sends; healing ends the connections."""
        size = max(int(self.rate_kbps * 1000 * SECONDS), 100)
        return slowed(site, size / (self.rate_kbps * 1000), size, "bandwidth", "upstream", rate_kbps=self.rate_kbps)
