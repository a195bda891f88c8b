"""Freeze sessions: they hold their locks and their slots and do not answer, though their connections are well."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("freeze", family="server", lasting=True, waits=True, beside=True, needs=["freeze"])
class Freeze(Fault):
    """SIGSTOP for the processes of the plan's sessions, which keep their locks, and SIGCONT at the heal."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Stop them; healing lets them run again."""
        sessions = [session for session in site.sessions() if not site.server.stopped(session.pid)]
        struck = tuple(session.id for session in sessions)

        def seen() -> Sighting | None:
            stopped = bool(sessions) and all(site.server.stopped(session.pid) for session in sessions)
            return Sighting(f"{len(sessions)} server processes stopped", struck) if stopped else None

        try:
            for session in sessions:
                site.server.signal(session.pid, signal.SIGSTOP)
            yield seen
        finally:
            for session in sessions:
                site.server.signal(session.pid, signal.SIGCONT)
