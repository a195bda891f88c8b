"""The default rig: PostgreSQL and Toxiproxy as processes of this machine, on loopback. No Docker, no root."""

from __future__ import annotations

from contextlib import ExitStack

from lab.rig.base import SEATS, BaseRig
from lab.rig.capabilities import CAPABILITIES
from lab.rig.direct import Direct
from lab.rig.embedded.postgres import Postgres
from lab.rig.embedded.toxiproxy import Toxiproxy
from lab.rig.machine import process, route
from lab.rig.machine.process import Home
from lab.rig.postgres.server import PostgresServer
from lab.rig.protocol import ServerLog
from lab.rig.toxiproxy.binary import ensure_toxiproxy

__all__ = ["SEATS", "Rig"]


class Rig(BaseRig):
    """Both servers are children of the lab and end with it."""

    name = "embedded"
    capabilities = CAPABILITIES[name]
    control_socket = False
    """Whether the lab's own SQL goes by a unix socket instead of the network."""

    postgres: Postgres
    toxiproxy: Toxiproxy

    @property
    def log(self) -> ServerLog:
        """PostgreSQL's log."""
        return self.postgres

    @property
    def direct(self) -> Direct | None:
        """The server listens on loopback, as the proxies do."""
        return Direct(self.host, self.postgres.port)

    def _start(self, stack: ExitStack) -> None:
        route.require_loopback(self.host)
        # Root's folder must let the unprivileged user pass to his data in it, which is 0700 in turn.
        self.folder.mkdir(mode=0o711 if process.unprivileged() else 0o700)
        home = Home(self.lab_id, self.folder)
        self.toxiproxy = Toxiproxy(home, ensure_toxiproxy(self._progress, self.lab_id))
        stack.callback(self.toxiproxy.close)
        self.toxiproxy.start()
        self.postgres = Postgres(home, self._max_connections, unix_socket=self.control_socket)
        stack.callback(self.postgres.close)
        self.postgres.start()
        self.server = PostgresServer(self.postgres, self.control)
        stack.callback(self._controls.close)
