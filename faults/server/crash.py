"""Crash the server: every session is gone, acknowledged work must not be; connecting fails until it has recovered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faults.server._ended import new_run
from lab.fault import Fault, Seen, Site, fault


@fault("crash", family="server", exclusive=True, needs=["crash"])
class Crash(Fault):
    """SIGKILL of the postmaster, then a start with recovery from the log: what was acknowledged must be there."""

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Crash, start and wait for the server; there is nothing to heal."""
        seen = new_run(site, site.sessions(), site.server.epoch())
        site.server.crash()
        yield seen
