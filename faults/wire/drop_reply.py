"""Drop the reply: the statement is executed and its answer never comes, while the connection looks well."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.wire._at import AtMoment, acting
from lab.fault import Seen, Site, fault


@fault("drop-reply", family="wire", lasting=True, lazy=True, waits=True, heal_cuts=True, needs={"wire"})
class DropReply(AtMoment):
    """From the `moment` on the client is told nothing, nor that the server has ended; the connection stays open."""

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Arm it; healing ends the connection: what was swallowed cannot be had again."""
        return acting(site, self.moment, "drop-reply", "client", site.wire.sever)
