"""Fill all connection slots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("fill-slots", family="server", exclusive=True)
class FillSlots(Fault):
    """Every connection slot that an ordinary role may have is taken: connecting fails with 53300 until the heal."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Connect until the server refuses; healing lets the slots go."""
        with site.server.fill() as slots:
            yield lambda: Sighting(f"{slots} slots held, the next one was refused") if slots else None
