"""Drop one connection: the loss cannot be seen on a new one, so that a check of the network finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from faults.loss._lost import losing
from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("drop-connection", family="loss", lasting=True, waits=True, needs=["loss"])
class DropConnection(Fault):
    """One connection is forgotten, as by a firewall's table: its packets vanish both ways, others and new ones pass.

    `which`: the `oldest` or the `newest`.
    """

    which: Literal["oldest", "newest"] = "oldest"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Drop; healing lets it pass."""
        place = 0 if self.which == "oldest" else -1
        ports, sessions = site.net.connections(), site.sessions()
        if not ports:
            yield lambda: None
            return
        struck = (sessions[place].id,) if len(sessions) == len(ports) else ()
        with losing(site, "both", ports=ports[place : place + 1 or None]) as lost:

            def seen() -> Sighting | None:
                sighting = lost()
                return None if sighting is None else Sighting(sighting.evidence, struck)

            yield seen
