"""Limit data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec

from faults.network._ended import established, struck
from lab.fault import Fault, Seen, Sighting, Site, fault
from lab.records.words import Direction
from lab.timing import KNOCK

LONGEST_QUESTION = 8000  # bytes; a limit above that is not shown by a fresh connection


@fault("limit-data", family="network", lasting=True, lazy=True, heal_cuts=True)
class LimitData(Fault):
    """Each connection ends after exactly `limit_bytes` more bytes of one `stream`; 0 swallows the next data and ends.

    Downstream 0 while a transaction is open: its COMMIT is executed and the answer is lost.
    """

    limit_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    stream: Direction = "downstream"

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Set the limit, on connections that are there too; seen when one of them, or a new one, ends on it."""
        watched = site.established()
        were, lost = frozenset(watched), site.lost()
        sessions = tuple(session.id for session in site.sessions())
        unlimited = not watched and self._passes(site) > self.limit_bytes

        def seen() -> Sighting | None:
            now = site.sockets()
            fin, _ = struck(watched, now, site.link.armed)  # on an armed line the client may have closed it
            watched.update(established(now))
            # The server ends a session whose client leaves, and a slow client closes only after that: no limit was met.
            if fin and (fin - were or site.lost() > lost):
                return Sighting("a connection was ended, and not by its client", sessions)
            # Nobody was connected: whoever connects meets it, as we do when our question is long enough.
            if watched or not unlimited or self._passes(site) != self._shown():
                return None
            return Sighting(f"a fresh connection ended after {self._shown()} bytes of the answer")

        try:
            site.link.add("limit_data", self.stream, limit_bytes=self.limit_bytes)
            yield seen
        finally:
            site.link.accept()

    def _passes(self, site: Site) -> int:
        """How many bytes of an answer longer than the limit come before the connection ends; -1 when it does not."""
        knock = site.knock(KNOCK.seconds, min(self.limit_bytes, LONGEST_QUESTION) + 64)
        return knock.bytes if knock.end in ("fin", "rst") else -1

    def _shown(self) -> int:
        return self.limit_bytes if self.stream == "downstream" else 0
