"""Read-only server: a session that outlives a failover reads well and cannot write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Fault, Seen, Sighting, Site, fault

SETTING = "default_transaction_read_only"


@fault("read-only", family="server", lasting=True, exclusive=True, beside=True)
class ReadOnly(Fault):
    """The server takes no writes (25006) until the heal, as after a failover that left it a standby.

    Sessions that are connected notice with their next statement.
    """

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Set it for every session; healing puts it back."""
        before = site.server.value(SETTING)

        def seen() -> Sighting | None:
            now = site.server.value(SETTING)
            return Sighting("the server's transactions are read-only") if (before, now) == ("off", "on") else None

        with site.server.setting(SETTING, "on"):
            yield seen
