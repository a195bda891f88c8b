"""Abort sockets: the client learns of the loss at once, from its own kernel and not from the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("abort", family="loss", needs=["abort"])
class Abort(Fault):
    """The client's own kernel ends its connections (ECONNABORTED, as `ss -K` does), and tells the server by RST.

    `scope` is `all`, the `oldest` or the `newest`.
    """

    scope: Literal["all", "oldest", "newest"] = "all"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Abort; there is nothing to heal."""
        part = {"all": slice(None), "oldest": slice(0, 1), "newest": slice(-1, None)}[self.scope]
        ports, sessions = site.net.connections(), site.sessions()
        chosen = set(ports[part])
        struck = tuple(session.id for session in sessions[part]) if len(sessions) == len(ports) else ()
        aborted = sum(site.net.abort(port) for port in chosen)

        def seen() -> Sighting | None:
            # One that its client has closed is still remembered, an aborted one is in no table.
            left = {socket.port for socket in site.sockets()}
            if not aborted or chosen & left:
                return None
            return Sighting(f"{aborted} of {len(ports)} connections aborted", struck)

        yield seen
