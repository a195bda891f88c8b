"""Throttle the server: everything takes longer than a timeout that was set on a fast machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("throttle", family="server", lasting=True, exclusive=True, needs=["limits"])
class Throttle(Fault):
    """All processes of the server together get `cpu_percent` of one processor, as in a container with a tight limit."""

    cpu_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Set the limit; seen when the kernel has made the server wait for it. Healing lifts it."""
        before, user = site.server.throttled(), site.users[0]

        def seen() -> Sighting | None:
            site.attempt(user)  # a new session is work enough
            times = site.server.throttled() - before
            return Sighting(f"the kernel has held the server back {times} times") if times > 0 else None

        with site.server.throttle(self.cpu_percent):
            yield seen
