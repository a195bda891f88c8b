"""The embedded rig in a network namespace of its own: the same servers, and packets that can be lost."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from typing import Self

from lab.errors import BadInput, ServerNotReady
from lab.fault import Net
from lab.rig.capabilities import CAPABILITIES
from lab.rig.embedded.rig import Rig
from lab.rig.machine import route
from lab.rig.netns import namespace
from lab.rig.netns.loss import PacketLoss

ACCEPTED = re.compile(rb'"client":"127\.0\.0\.1:(\d+)"[^\n]*Accepted client')


class NetnsRig(Rig):
    """PostgreSQL and Toxiproxy on a private loopback. Call `namespace.enter()` first, before any thread starts.

    The lab's own SQL takes a unix socket, so that it gets through while the loopback is down.
    """

    name = "netns"
    capabilities = CAPABILITIES[name]
    control_socket = True

    def __enter__(self) -> Self:
        if not namespace.entered():
            raise BadInput("the netns rig runs in a network namespace, and this process is in none", "use --rig netns")
        if others := namespace.others_up():
            raise ServerNotReady(f"the lab's namespace is not private: {', '.join(others)} is up", "take it down")
        route.require_loopback(self.host)
        return super().__enter__()

    @property
    def direct(self) -> None:
        """None: what is lost on the way is counted on the lines of proxies."""
        return None

    def net(
        self, ports: Collection[int], clients: Callable[[], Iterable[int]], sessions: Callable[[], Iterable[int]]
    ) -> Net:
        """The packets of one plan's lines."""
        return PacketLoss(ports, self.postgres.port, clients, self._relays, sessions, self._accepted)

    def _accepted(self) -> list[int]:
        """The ports of all clients in the order in which Toxiproxy has taken them."""
        return [int(port) for port in ACCEPTED.findall(self.toxiproxy.log_path.read_bytes())]

    def _relays(self) -> list[int]:
        """Whoever may stand between a client and PostgreSQL: Toxiproxy, and the tap in this process."""
        return [self.toxiproxy.pid, os.getpid()]
