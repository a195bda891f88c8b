"""What the kernel tells of a client's sockets: all of them, and only some, at less cost and with the same answer."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from lab.rig.machine import tcp

RESET = struct.pack("ii", 1, 0)


class Pairs:
    """Connections to one port: the clients' ends and the server's."""

    def __init__(self, stack: ExitStack) -> None:
        listener = stack.enter_context(closing(_unused_server()))
        self.port: int = listener.getsockname()[1]
        self.clients = [stack.enter_context(socket.create_connection(("127.0.0.1", self.port))) for _ in range(4)]
        self.servers = [stack.enter_context(closing(listener.accept()[0])) for _ in self.clients]
        self.ports = [client.getsockname()[1] for client in self.clients]


def _unused_server() -> socket.socket:
    """On a port to which no connection of another program is left in TIME_WAIT: a busy machine has thousands."""
    while True:
        server = socket.create_server(("127.0.0.1", 0))
        if not tcp.clients(os.getpid(), server.getsockname()[1]):
            return server
        server.close()


@contextmanager
def forked(pairs: Pairs) -> Iterator[tuple[int, int]]:
    """A process of its own that has one more connection: its pid, and that connection's port."""
    code = "import socket, sys; c = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
    code += "print(c.getsockname()[1], flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(pairs.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[client.fileno() for client in pairs.clients],
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


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


def test_of_a_port_that_others_are_connected_to_as_well_a_process_has_its_own(pairs: Pairs) -> None:
    """A child process has one more connection, and shares the others; what is closed is nobody's."""
    clients = tcp.Clients(os.getpid(), pairs.port)
    with forked(pairs) as (child, own):
        assert {each.port for each in clients.all()} == {*pairs.ports, own}
        assert {each.port for each in clients.held_by([os.getpid()])} == set(pairs.ports)
        assert {each.port for each in clients.held_by([os.getpid(), child])} == {*pairs.ports, own}
        pairs.servers[0].close()
        assert pairs.clients[0].recv(1) == b""
        pairs.clients[1].close()
        states = {each.port: each.state for each in clients.held_by([os.getpid()])}
        assert [states.get(port) for port in pairs.ports] == ["CLOSE_WAIT", None, "ESTABLISHED", "ESTABLISHED"]
    assert clients.held_by([child]) == ()


def test_those_that_a_process_had_are_found_again_by_themselves(pairs: Pairs) -> None:
    clients = tcp.Clients(os.getpid(), pairs.port)
    clients.held_by([os.getpid()])
    clients.all = lambda: pytest.fail("a look at the whole table")  # type: ignore[method-assign]
    pairs.servers[0].close()
    pairs.clients[1].close()
    pairs.servers[1].close()
    assert pairs.clients[0].recv(1) == b""
    some = {each.port: each.state for each in clients.among(pairs.ports[:3])}
    assert [some.get(port) for port in pairs.ports[:3]] == ["CLOSE_WAIT", "TIME_WAIT", "ESTABLISHED"]


def test_a_kernel_that_gives_no_copy_of_a_socket_is_asked_for_its_table(
    pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tcp.Clients(os.getpid(), pairs.port).held_by([os.getpid()])
    connected = tcp.connected(os.getpid(), [pairs.port])
    monkeypatch.setattr(tcp, "PIDFD_GETFD", 100_000)  # no such call
    with pytest.raises(OSError, match="not implemented"):
        tcp.held(os.getpid(), [pairs.port])
    assert set(tcp.Clients(os.getpid(), pairs.port).held_by([os.getpid()])) == set(before)
    assert len(before) == len(pairs.ports)
    assert tcp.connected(os.getpid(), [pairs.port]) == connected
    assert len(connected) == len(pairs.ports)


def test_what_was_said_is_told_of_those_that_were_connected(pairs: Pairs) -> None:
    """By descriptors that another process may share: how much was asked and answered, and whose end is closed."""
    found = tcp.connected(os.getpid(), {pairs.port})
    inodes = [os.fstat(client.fileno()).st_ino for client in pairs.clients]
    assert set(inodes) == found.keys()
    before = tcp.talk(found)
    assert set(before) == set(inodes)
    pairs.clients[0].sendall(b"asked")
    assert pairs.servers[0].recv(5) == b"asked"
    asked = tcp.talk(found)
    assert asked[inodes[0]].asked == before[inodes[0]].asked + 5
    assert asked[inodes[0]].waits_since(before[inodes[0]])
    assert not any(asked[inode].waits_since(before[inode]) for inode in inodes[1:])
    pairs.servers[0].sendall(b"yes")
    assert pairs.clients[0].recv(3) == b"yes"
    pairs.servers[1].close()
    assert pairs.clients[1].recv(1) == b""
    pairs.clients[2].close()
    now = tcp.talk(found)
    assert not now[inodes[0]].waits_since(before[inodes[0]])
    assert (now[inodes[1]].over, now[inodes[3]].over) == (True, False)
    assert inodes[2] not in now, "it was shut"


def test_nothing_is_told_of_sockets_that_netlink_did_not_show(pairs: Pairs) -> None:
    assert tcp.talk(dict.fromkeys(tcp.connected(os.getpid(), {pairs.port}), b"")) == {}
