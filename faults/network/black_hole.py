"""Black hole: silence that the kernel does not notice, so that only a timeout of the backend's own ends the wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from faults.network._silence import look_out
from lab.fault import Fault, Seen, Site, fault
from lab.records.words import Direction


@fault("black-hole", family="network", lasting=True, waits=True, heal_cuts=True)
class BlackHole(Fault):
    """What is sent disappears, yet is acknowledged and no connection ends, as behind a NAT or proxy that hangs.

    `stream`: `both` directions, or only `upstream` (nothing arrives) or `downstream` (it arrives, no answer returns).
    TCP's own timers do not notice it: the proxy's kernel acknowledges everything.
    """

    stream: Literal["both", "upstream", "downstream"] = "both"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Drop all data, on connections that are there too; healing ends them."""
        streams: tuple[Direction, ...] = ("upstream", "downstream") if self.stream == "both" else (self.stream,)
        seen = look_out(site)
        try:
            for stream in streams:
                site.link.add("timeout", stream, timeout_ms=0)
            yield seen
        finally:
            site.link.accept()
