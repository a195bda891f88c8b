"""The rig on containers: other server versions, limits of memory and processor, a network that can be taken away."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack

import docker

from lab.fault import Net
from lab.rig.base import BaseRig
from lab.rig.capabilities import CAPABILITIES
from lab.rig.docker import compose, reaper
from lab.rig.docker.containers import Containers, chosen_version, create
from lab.rig.docker.engine import LABEL, connect
from lab.rig.docker.net import DockerNet
from lab.rig.docker.postgres import DockerPostgres
from lab.rig.docker.reset import require_reset
from lab.rig.docker.server import DockerServer
from lab.rig.docker.toxiproxy import DockerToxiproxy
from lab.rig.machine import process, route
from lab.rig.machine.guarded import PIDFD, Guardian
from lab.rig.postgres.database import MAX_CONNECTIONS
from lab.rig.toxiproxy.binary import Notify

REAP_TIMEOUT = 30.0


class DockerRig(BaseRig):
    """PostgreSQL and Toxiproxy in containers, on a network of the lab's own, by the containers' own addresses.

    Nothing is published: a published port ends TCP, and with it every network fault. Where this process cannot reach
    those addresses it must run in a container of that network (compose/README.md).
    """

    name = "docker"
    capabilities = CAPABILITIES[name]

    postgres: DockerPostgres
    toxiproxy: DockerToxiproxy
    subnet: ipaddress.IPv4Network

    def __init__(
        self, progress: Notify = lambda _: None, max_connections: int = MAX_CONNECTIONS, postgres: str = ""
    ) -> None:
        super().__init__(progress, max_connections)
        self._wanted = chosen_version(postgres) if postgres else ""

    def net(
        self, ports: Collection[int], clients: Callable[[], Iterable[int]], sessions: Callable[[], Iterable[int]]
    ) -> Net:
        """The network, which can be taken away; a packet on its own cannot."""
        return DockerNet(self.toxiproxy, ports)

    def _start(self, stack: ExitStack) -> None:
        self.folder.mkdir(mode=0o711 if process.unprivileged() else 0o700)
        client = connect()
        stack.callback(client.close)
        containers = self._containers(client, stack)
        route.require_bridge(containers.postgres_host, containers.subnet)
        self.host, self.subnet = containers.toxiproxy_host, containers.subnet
        self.toxiproxy = DockerToxiproxy(containers, self.folder / "toxiproxy.log")
        stack.callback(self.toxiproxy.close)
        self.toxiproxy.start()
        self.postgres = DockerPostgres(containers, self._max_connections)
        self.postgres.set_up()
        self.server = DockerServer(self.postgres, self.control)
        stack.callback(self._controls.close)

    def _containers(self, client: docker.DockerClient, stack: ExitStack) -> Containers:
        """Our own, or those of the compose project that we are part of."""
        if (shared := compose.shared()) is not None:
            self.several = False
            return stack.enter_context(compose.adopt(client, shared, self._wanted))
        version = chosen_version(self._wanted)
        # The reaper first: from here on nothing can stay behind.
        guardian = Guardian(reaper.__file__, [self.lab_id, PIDFD, LABEL])
        stack.callback(guardian.release, REAP_TIMEOUT)
        containers = create(client, self.lab_id, version, self._max_connections, self._progress)
        guardian.wait_armed()
        return containers

    def _ready(self) -> None:
        require_reset(self)
