"""Time out idle transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from typing import Annotated

import msgspec

from lab.fault import Fault, Seen, Sighting, Site, fault


@fault("idle-in-transaction-timeout", family="server", exclusive=True, lazy=True)
class IdleInTransactionTimeout(Fault):
    """`idle_in_transaction_session_timeout` of `timeout_ms`: the server ends a session that dawdles in a transaction."""

    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 20

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Set it for every session; seen when one that held a transaction is gone. Healing puts it back."""
        holders: set[str] = set()
        with site.server.setting("idle_in_transaction_session_timeout", f"{self.timeout_ms}ms"):

            def seen() -> Sighting | None:
                sessions = site.sessions()
                gone = holders - {session.id for session in sessions}
                holders.update(session.id for session in sessions if session.xact)
                return Sighting("the server ended an idle transaction's session", tuple(sorted(gone))) if gone else None

            seen()
            yield seen
