"""Refuse connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("refuse", family="network")
class Refuse(Fault):
    """Every connection ends with FIN and new ones are refused (ECONNREFUSED) until the heal: the server is down."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Close the listener; healing opens it again."""
        sessions = tuple(session.id for session in site.sessions())
        site.link.refuse()
        try:
            yield lambda: Sighting("a fresh connection is refused", sessions) if site.refused() else None
        finally:
            site.link.accept()
