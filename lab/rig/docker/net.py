"""What a network of containers can do to packets: it can be taken away, and given back."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Collection

from lab.errors import BadInput
from lab.fault import Leg, Lost
from lab.records.words import Sides
from lab.rig.docker.toxiproxy import DockerToxiproxy
from lab.rig.machine import sock_diag
from lab.timing import SYN_BRIDGE

TCP_INFO_SIZE, UNACKNOWLEDGED_AT = 104, 24
"""Of the kernel's `struct tcp_info`: tcpi_unacked."""


class DockerNet:
    """`lab.fault.Net` of a rig that is capable of "link" alone: Toxiproxy's container leaves the network.

    Nobody is told: no FIN, no RST; what is sent is sent again, until the container is back or the sender gives up.
    """

    def __init__(self, toxiproxy: DockerToxiproxy, ports: Collection[int]) -> None:
        self._toxiproxy = toxiproxy
        self._ports = frozenset(ports)
        self._unanswered = 0

    def connections(self, leg: Leg = "client") -> tuple[int, ...]:
        """The plan's established connections on the client's leg."""
        found = (
            end for end in sock_diag.endpoints() if end.target in self._ports and end.state == sock_diag.ESTABLISHED
        )
        return tuple(end.source for end in found) if leg == "client" else ()

    def drop(self, towards: Sides, leg: Leg = "client", ports: Collection[int] | None = None) -> None:
        """Not here."""
        raise _lacking("drop packets")

    def restore(self, leg: Leg = "client") -> None:
        """Nothing is dropped."""

    def lost(self, leg: Leg = "client") -> dict[int, Lost]:
        """Not here: the other ends are in containers."""
        raise _lacking("count lost packets")

    def provoke(self, leg: Leg = "client") -> None:
        """Not here."""
        raise _lacking("drop packets")

    def abort(self, port: int) -> bool:
        """Not here."""
        raise _lacking("abort sockets")

    def answers(self) -> bool | None:
        """Whether a fresh connection to any of the ports is answered: None when all refuse it."""
        found = {self._answers(port) for port in self._ports}
        return True if True in found else None if found == {None} else False

    def link_down(self) -> None:
        """Disconnect Toxiproxy's container: every connection of the rig is silent."""
        self._toxiproxy.unplug()

    def link_up(self) -> None:
        """Connect it again, with the address that it had; returns when it answers. Idempotent."""
        self._toxiproxy.plug()

    def link_drops(self) -> int:
        """Segments that the kernel has sent to the plan's ports in vain: those sent again, and unanswered SYNs."""
        for port in self._ports:
            self._answers(port)
        return self._unanswered + sum(end.retransmitted for end in sock_diag.endpoints() if end.target in self._ports)

    def _answers(self, port: int) -> bool | None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as fresh:
            fresh.setblocking(False)
            fresh.connect_ex((self._toxiproxy.host, port))
            poll = select.poll()
            poll.register(fresh, select.POLLOUT)
            if poll.poll(SYN_BRIDGE.seconds * 1000):
                return None if fresh.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else True
            info = fresh.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
            self._unanswered += int.from_bytes(info[UNACKNOWLEDGED_AT : UNACKNOWLEDGED_AT + 4], sys.byteorder)
            return False


def _lacking(what: str) -> BadInput:
    return BadInput(f"the docker rig cannot {what}", "use --rig netns")
