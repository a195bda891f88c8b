"""Drop what goes to the server: the client retransmits in vain, and the server keeps an idle session and its locks."""

from __future__ import annotations

from contextlib import AbstractContextManager

from faults.loss._lost import losing
from lab.fault import Fault, Seen, Site, fault


@fault("drop-to-server", family="loss", lasting=True, waits=True, needs=["loss"])
class DropToServer(Fault):
    """What the client sends never arrives; what the server sends does, but is never acknowledged."""

    def strike(self, site: Site) -> AbstractContextManager[Seen]:
        """Drop; healing lets everything pass, and what was sent meanwhile arrives late."""
        return losing(site, "server")
