"""Cut the first answer: a new session fails, too, so a backend that retries at once does so without end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults.network._ended import established
from lab.fault import Fault, Seen, Sighting, Site, fault

SPARE = 24  # bytes beyond the greeting: it varies a little with the settings, and every answer is longer


@fault("cut-first-answer", family="network", lasting=True, connecting=True, heal_cuts=True)
class CutFirstAnswer(Fault):
    """Every connection ends; new sessions can be had, and end with their first answer: so every check of them fails."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Let no more than the greeting pass; healing ends the connections."""
        before = site.established()
        sessions = tuple(session.id for session in site.sessions())
        users = site.users

        def seen() -> Sighting | None:
            if before & established(site.sockets(before)) or {site.attempt(user) for user in users} != {"cut"}:
                return None
            return Sighting("a fresh session was set up and ended with its first answer", sessions)

        try:
            site.link.add("limit_data", "downstream", limit_bytes=site.greeting() + SPARE)
            site.link.cut()
            yield seen
        finally:
            site.link.accept()
