"""Restart the server: all kept sessions are dead at once, and the first request of each thread finds out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from faults.server._ended import new_run
from lab.fault import Fault, Seen, Site, fault


@fault("restart", family="server", exclusive=True, needs=["restart"])
class Restart(Fault):
    """The server is stopped and started; by `mode`, sessions are told (`fast`) or just end (`immediate`).

    A session that is frozen keeps `fast` from ending: the server is killed then, and that does not count.
    """

    mode: Literal["fast", "immediate"] = "fast"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Restart and wait for the server; there is nothing to heal."""
        seen = new_run(site, site.sessions(), site.server.epoch())
        in_order = site.server.restart(self.mode)
        yield seen if in_order else lambda: None
