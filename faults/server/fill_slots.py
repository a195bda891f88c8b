"""Fill all connection slots: a session that is given up for a new one cannot be had back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("fill-slots", family="server", lasting=True, connecting=True, exclusive=True, needs=["slots"])
class FillSlots(Fault):
    """Every connection slot that an ordinary role may have is taken: connecting fails with 53300 until the heal.

    A slot that one of the plan's own sessions gives back meanwhile is free for the next one.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Connect until the server refuses; healing lets the slots go."""
        with site.server.fill() as slots:
            yield lambda: Sighting(f"{slots} slots held, the next one is refused") if site.server.full() else None
