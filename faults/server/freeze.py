"""Freeze a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import signal

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("freeze", family="server", waits=True, needs=["freeze"])
class Freeze(Fault):
    """SIGSTOP for the processes of the plan's sessions, which keep their locks, and SIGCONT at the heal."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Stop them; healing lets them run again."""
        sessions = site.sessions()
        struck = tuple(session.id for session in sessions)
        try:
            for session in sessions:
                site.server.signal(session.pid, signal.SIGSTOP)

            def seen() -> Sighting | None:
                stopped = bool(sessions) and all(site.server.stopped(session.pid) for session in sessions)
                return Sighting(f"{len(sessions)} server processes stopped", struck) if stopped else None

            yield seen
        finally:
            for session in sessions:
                site.server.signal(session.pid, signal.SIGCONT)
