"""Drop what goes to the client: the statement is executed, and sending it again would execute it twice."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.loss._lost import losing
from lab.fault import Fault, Seen, Site, fault


@fault("drop-to-client", family="loss", lasting=True, waits=True, needs=["loss"])
class DropToClient(Fault):
    """What the client sends arrives, and no answer ever does: the COMMIT was executed, and the client is not told."""

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Drop; healing lets everything pass, and late answers arrive."""
        return losing(site, "client")
