"""Time out idle transactions: the server ends the session inside a block, and says so with the next answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec

from lab.fault import Fault, Seen, Sighting, Site, fault
from lab.timing import LINGER


@fault("idle-in-transaction-timeout", family="server", lasting=True, exclusive=True, lazy=True, beside=True)
class IdleInTransactionTimeout(Fault):
    """The server ends a session that does nothing in a transaction for `timeout_ms` milliseconds (25P03).

    A session that is connected takes the setting with its next statement.
    """

    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 20

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Set it for every session; seen when the server has ended one with FATAL. Healing puts it back."""
        before = site.server.fatal_ends()  # the plan runs alone: only its own sessions are counted
        known = {session.id for session in site.sessions()}
        looks = 0
        with site.server.setting("idle_in_transaction_session_timeout", f"{self.timeout_ms}ms"):

            def seen() -> Sighting | None:
                nonlocal looks
                ended = site.server.fatal_ends() > before
                alive = {session.id for session in site.sessions()}
                gone = tuple(sorted(known - alive))
                known.update(alive)
                looks += ended
                if not ended or (not gone and looks < LINGER):
                    return None
                return Sighting("the server ended a session with FATAL, as a timeout does", gone)

            yield seen
