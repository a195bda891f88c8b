"""Terminate sessions: a last message (57P01) lies in the connection, where the next statement expects its answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from faults.server._ended import look_out
from lab.fault import Fault, Seen, Site, fault


@fault("terminate", family="server", beside=True)
class Terminate(Fault):
    """`pg_terminate_backend` (57P01) for the plan's sessions: `scope` is `all`, the `oldest` or the `newest`."""

    scope: Literal["all", "oldest", "newest"] = "all"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Terminate; there is nothing to heal."""
        sessions = site.sessions()
        chosen = {"all": sessions, "oldest": sessions[:1], "newest": sessions[-1:]}[self.scope]
        connections = site.established()
        ended = [session for session in chosen if site.server.terminate(session.pid)]
        yield look_out(site, ended, "terminated", connections)
