"""Run the server out of memory: one session is killed, and the server ends every other one with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("out-of-memory", family="server", exclusive=True, needs=["limits"])
class OutOfMemory(Fault):
    """The kernel kills a session that wants more memory than the server may have; the server then ends all others.

    That session is the lab's own. The postmaster survives and recovers from its log: what was acknowledged is there.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Let it happen and wait for the server; there is nothing to heal."""
        before, sessions = site.server.memory_kills(), site.sessions()
        struck = tuple(session.id for session in sessions)
        site.server.exhaust_memory()

        def seen() -> Sighting | None:
            kills = site.server.memory_kills() - before
            if kills < 1 or {session.id for session in site.sessions()} & set(struck):
                return None
            return Sighting(f"the kernel killed {kills} processes of the server; {len(struck)} sessions ended", struck)

        yield seen
