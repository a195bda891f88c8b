"""What the kernel tells of a client's sockets: all of them, and only some, at less cost and with the same answer."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from lab.rig.machine import tcp

RESET = struct.pack("ii", 1, 0)


class Pairs:
    """Connections to one port: the clients' ends and the server's."""

    def __init__(self, stack: ExitStack) -> None:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        self.port: int = listener.getsockname()[1]
        self.clients = [stack.enter_context(socket.create_connection(("127.0.0.1", self.port))) for _ in range(4)]
        self.servers = [stack.enter_context(closing(listener.accept()[0])) for _ in self.clients]
        self.ports = [client.getsockname()[1] for client in self.clients]


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    with ExitStack() as stack:
        yield Pairs(stack)


def test_some_are_as_a_look_at_all_shows_them(pairs: Pairs) -> None:
    clients = tcp.Clients(os.getpid(), pairs.port)
    assert {each.port for each in clients.all()} == set(pairs.ports)
    pairs.servers[0].close()
    pairs.clients[1].close()
    pairs.servers[1].close()
    pairs.servers[2].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    pairs.servers[2].close()
    assert pairs.clients[0].recv(1) == b""
    with pytest.raises(ConnectionResetError):
        pairs.clients[2].recv(1)
    some = {each.port: each.state for each in clients.among(pairs.ports)}
    assert some == {each.port: each.state for each in tcp.clients(os.getpid(), pairs.port)}
    # Ended by the other side, by the client itself, reset and therefore unknown, and still open.
    assert [some.get(port) for port in pairs.ports] == ["CLOSE_WAIT", "TIME_WAIT", None, "ESTABLISHED"]


def test_some_that_no_look_has_shown_are_found_all_the_same(pairs: Pairs) -> None:
    clients = tcp.Clients(os.getpid(), pairs.port)
    assert {each.port for each in clients.among(pairs.ports[:2])} == set(pairs.ports[:2])


def test_only_those_that_are_asked_for_are_told(pairs: Pairs) -> None:
    clients = tcp.Clients(os.getpid(), pairs.port)
    clients.all()
    assert [each.port for each in clients.among(pairs.ports[3:])] == pairs.ports[3:]
