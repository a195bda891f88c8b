"""Packets of one plan's line that vanish: neither acknowledged nor refused, and nobody is told.

A socket may have a filter that its kernel runs over every packet before TCP sees it (SO_ATTACH_FILTER). One that
passes nothing makes its socket deaf as a cut cable would: no ACK, no FIN, no RST, no ICMP; the sender retransmits. On
a listener it swallows the SYN, and what is accepted of it later inherits it. The sockets belong to our own children,
from which the kernel hands us copies (pidfd_getfd). That needs no tool and no rule of a firewall, and concerns this
plan alone; what it does is seen in the kernel's counters: segments that one end sent and the other did not get.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from lab.errors import ServerNotReady
from lab.fault import Leg, Lost
from lab.records.words import Sides
from lab.rig.machine import process, sock_diag, tcp
from lab.rig.machine.port import LOOPBACK
from lab.rig.machine.sock_diag import Endpoint
from lab.rig.netns import namespace
from lab.timing import DELAYED_ACK, SYN_LOCAL

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
TCP_REPAIR = 19
PIDFD_GETFD = 438

_RETURN_NOTHING = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
DEAF = struct.pack("HP", 1, ctypes.addressof(_RETURN_NOTHING))
"""struct sock_fprog: a program of one instruction, `ret 0`."""

_libc = ctypes.CDLL(None, use_errno=True)
Pids = Callable[[], Iterable[int]]


class PacketLoss:
    """`lab.fault.Net` for one plan: its clients' connections to `ports`, and the server sessions behind the proxies.

    `clients`, `relays` and `sessions` give the processes that hold the sockets: the subject, whoever listens on `ports`
    and connects to `server_port`, and the plan's own server processes. `accepted` gives the ports of clients in the
    order in which they came: the kernel numbers sockets by processor, not by age.
    """

    def __init__(
        self,
        ports: Collection[int],
        server_port: int,
        clients: Pids,
        relays: Pids,
        sessions: Pids,
        accepted: Pids = tuple,
    ) -> None:
        self._ports = frozenset(ports)
        self._server_port = server_port
        self._clients = clients
        self._relays = relays
        self._sessions = sessions
        self._accepted = accepted
        self._deaf: set[int] = set()

    def connections(self, leg: Leg = "client") -> tuple[int, ...]:
        """The ports from which connections come, the oldest first where that is known: on the client's leg."""
        open_ = [port for port, ends in self._inside(leg, sock_diag.endpoints()).items() if _established(*ends)]
        if leg == "client" and len(open_) > 1:
            age = {port: place for place, port in enumerate(self._accepted())}  # a port that came again: its last time
            open_.sort(key=lambda port: age.get(port, len(age)))
        return tuple(open_)

    def drop(self, towards: Sides, leg: Leg = "client", ports: Collection[int] | None = None) -> None:
        """Drop what goes `towards` one end, or both, of these connections; None: all, and new ones get no answer.

        It begins when what was sent before has been acknowledged, or has not been for as long as that may take: a
        client that waits for an answer would else be one whose question was lost, for which other timers are.
        """
        process.wait_until(lambda: self._acknowledged(leg, ports), DELAYED_ACK.seconds)
        table = sock_diag.endpoints()
        if ports is None and leg == "client":
            self._each(self._listeners(table), self._relays(), _deafen)
            table = sock_diag.endpoints()  # what was accepted while we looked
        chosen = [ends for port, ends in self._inside(leg, table).items() if ports is None or port in ports]
        self._deaf |= {end.inode for ends in chosen for end in ends}
        near, far = self._holders(leg)
        if towards != "server":
            self._each([ends[0] for ends in chosen], near, _deafen)
        if towards != "client":
            self._each([ends[1] for ends in chosen], far, _deafen)

    def _acknowledged(self, leg: Leg, ports: Collection[int] | None) -> bool:
        ends = self._inside(leg, sock_diag.endpoints()).items()
        return not any(end.unacknowledged for port, pair in ends if ports is None or port in ports for end in pair)

    def restore(self, leg: Leg = "client") -> None:
        """Let everything pass again; connections that are left go on."""
        near, far = self._holders(leg)
        table = sock_diag.endpoints()
        if leg == "client":
            self._each(self._listeners(table), far, _hear)
            table = sock_diag.endpoints()
        # Not in pairs: the other end may have gone meanwhile. What a deaf listener accepted is deaf, too.
        ports = self._ports if leg == "client" else {self._server_port}
        self._each([end for end in table if end.target in ports and end.inode in self._deaf], near, _hear)
        inherited = leg == "client"
        theirs = [end for end in table if end.source in ports and (inherited or end.inode in self._deaf)]
        self._each(theirs, far, _hear)

    def lost(self, leg: Leg = "client") -> dict[int, Lost]:
        """Segments that one end has sent and the other has not got, by connection, since it was opened."""
        # Senders first: what passes between the two looks has then arrived more often than it was sent.
        before, after = self._inside(leg, sock_diag.endpoints()), self._inside(leg, sock_diag.endpoints())
        return {
            port: Lost(
                to_server=near.sent - after[port][1].received,
                to_client=far.sent - after[port][0].received,
                retransmitted=near.retransmitted + far.retransmitted,
            )
            for port, (near, far) in before.items()
            if port in after and _established(near, far)
        }

    def provoke(self, leg: Leg = "client") -> None:
        """Make both ends of each connection send a segment without data: a window probe and the answer to it."""
        ours = 1 if leg == "client" else 0  # the proxy's end
        table = self._inside(leg, sock_diag.endpoints())
        self._each([ends[ours] for ends in table.values()], self._holders(leg)[ours], _probe)

    def answers(self) -> bool | None:
        """Whether a fresh connection to any of the ports is answered: None when all refuse it.

        False only when the kernel has counted that its first packet was thrown away, or the interface is down: one
        that is merely late is no loss.
        """
        found = {self._answers(port) for port in self._ports}
        return True if True in found else None if found == {None} else False

    def _answers(self, port: int) -> bool | None:
        before = self._dropped(port)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as fresh:
            fresh.setblocking(False)
            fresh.connect_ex((LOOPBACK, port))
            poll = select.poll()
            poll.register(fresh, select.POLLOUT)
            if not poll.poll(SYN_LOCAL.seconds * 1000):
                return self._dropped(port) == before and namespace.link_is_up()
            return None if fresh.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else True

    @staticmethod
    def _dropped(port: int) -> int:
        return sum(end.dropped for end in sock_diag.endpoints() if end.source == port and end.state == sock_diag.LISTEN)

    def abort(self, port: int) -> bool:
        """Abort the client's end of a connection: ECONNABORTED there, RST at the other end. False when it is gone."""
        found = self._inside("client", sock_diag.endpoints()).get(port)
        return found is not None and sock_diag.destroy(found[0])

    def link_down(self) -> None:
        """Take the loopback down: everything on it, the lab's own calls to the proxy as well, is silent."""
        namespace.set_link(up=False)

    def link_up(self) -> None:
        """Take it up again."""
        namespace.set_link(up=True)

    def link_drops(self) -> int:
        """How many packets the loopback has refused to carry because it was down."""
        for line in Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines():
            name, _, figures = line.partition(":")
            if name.strip() == namespace.LINK:
                return int(figures.split()[11])
        return 0

    # -- which sockets -----------------------------------------------------------------------------------------------

    def _inside(self, leg: Leg, table: list[Endpoint]) -> dict[int, tuple[Endpoint, Endpoint]]:
        """Both ends of the plan's connections by the port that they come from: (client's end, server's end)."""
        ports = self._ports if leg == "client" else {self._server_port}
        far = {end.target: end for end in table if end.source in ports and end.state != sock_diag.LISTEN}
        near = [end for end in table if end.target in ports]
        both = {end.source: (end, far[end.source]) for end in near if end.source in far}
        if leg == "client":
            return both
        ours = {inode for pid in self._sessions() for inode in tcp.descriptors(pid)}
        return {port: ends for port, ends in both.items() if ends[1].inode in ours}

    def _listeners(self, table: list[Endpoint]) -> list[Endpoint]:
        return [end for end in table if end.source in self._ports and end.state == sock_diag.LISTEN]

    def _holders(self, leg: Leg) -> tuple[Iterable[int], Iterable[int]]:
        """The processes that may hold the clients' ends, and those that may hold the servers'."""
        relays = list(self._relays())
        return (_family(self._clients()), relays) if leg == "client" else (relays, self._sessions())

    @staticmethod
    def _each(ends: Iterable[Endpoint], pids: Iterable[int], act: Callable[[socket.socket], None]) -> None:
        """Do something to these sockets, wherever among these processes they are; what has gone meanwhile is left."""
        wanted = {end.inode for end in ends} - {0}
        for pid in pids if wanted else ():
            for inode, descriptor in tcp.descriptors(pid).items():
                if inode in wanted:
                    with suppress(ProcessLookupError), _copy(pid, descriptor) as copy:
                        act(copy)
                    wanted.discard(inode)
            if not wanted:
                return


def _established(near: Endpoint, far: Endpoint) -> bool:
    return near.state == far.state == sock_diag.ESTABLISHED


def _deafen(copy: socket.socket) -> None:
    copy.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, DEAF)


def _hear(copy: socket.socket) -> None:
    with suppress(FileNotFoundError):  # it has no filter
        copy.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def _probe(copy: socket.socket) -> None:
    """Leaving TCP's repair mode sends a window probe, so that the peer answers at once (CRIU needs it so)."""
    with suppress(OSError):  # it has been closed
        copy.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        copy.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)


def _family(pids: Iterable[int]) -> Iterator[int]:
    """These processes, and then their descendants: a forked child shares its parent's sockets, and may outlive it."""
    parents = list(pids)
    yield from parents
    for pid in parents:
        with suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))


@contextmanager
def _copy(pid: int, descriptor: int) -> Iterator[socket.socket]:
    """Our copy of another process's socket; given back at once, for while we hold it a close there ends nothing."""
    with ExitStack() as stack:
        handle = os.pidfd_open(pid)
        stack.callback(os.close, handle)
        copied = _libc.syscall(PIDFD_GETFD, handle, descriptor, 0)
        if copied < 0:
            code = ctypes.get_errno()
            if code == 9:  # EBADF: closed meanwhile
                raise ProcessLookupError(code, os.strerror(code))
            raise ServerNotReady(f"no copy of a socket of process {pid}: {os.strerror(code)}", "run lab doctor")
        yield stack.enter_context(socket.socket(fileno=copied))
