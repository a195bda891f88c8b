"""The kernel's table of TCP connections: which clients are connected to a port, and in which state.

Asked through netlink (sock_diag), which looks for one port in half a millisecond; the text file /proc/PID/net/tcp takes
ten and more when the kernel still remembers a few thousand closed connections. The file is read where netlink is not
allowed, or the process in question lives in another network namespace.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lab.fault import Socket
from lab.rig.machine import sock_diag

STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    11: "CLOSING",
}
"""The kernel's numbers for the states that a client's socket can be seen in."""
ESTABLISHED, CLOSE_WAIT = 1, 8


PIDFD_GETFD = 438
"""The same on all machines."""
SO_COOKIE = 57
_libc = ctypes.CDLL(None, use_errno=True)


class Held(NamedTuple):
    """A connection that a process has open: its state, its own port, its inode, and the `id` for `sock_diag.again`."""

    state: int
    source: int
    inode: int
    id: bytes


class Talk(NamedTuple):
    """What has been said on a connection so far: bytes that the client has sent, and that have come from the server.

    `over`: the server's end was closed.
    """

    asked: int
    answered: int
    over: bool

    def waits_since(self, before: Talk | None) -> bool:
        """Whether something was asked after `before`, of which nothing has come yet."""
        return before is not None and self.asked > before.asked and self.answered == before.answered and not self.over


class Clients:
    """The clients' ends of all connections to `port`, in the network namespace of process `pid`."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid = pid
        self._port = port
        self._ids: dict[int, bytes] = {}

    def all(self) -> tuple[Socket, ...]:
        """Every one that the kernel knows now."""
        if (ends := _by_netlink(self._pid, self._port, STATES)) is not None:
            self._ids = {end.source: end.id for end in ends}
            return _sockets(ends)
        self._ids = {}
        return tuple(Socket(row.source, STATES[row.state]) for row in _from_file(self._pid, self._port))

    def held_by(self, pids: Iterable[int]) -> tuple[Socket, ...]:
        """Those that these processes have open now."""
        with suppress(OSError):
            ends = {end.source: end for pid in pids for end in held(pid, (self._port,))}
            self._ids = {source: end.id for source, end in ends.items()}
            return tuple(Socket(end.source, STATES[end.state]) for end in ends.values() if end.state in STATES)
        own = {inode for pid in pids for inode in descriptors(pid)}
        told = _by_netlink(self._pid, self._port, STATES)
        rows: Iterable[sock_diag.Endpoint | _Row] = _from_file(self._pid, self._port) if told is None else told
        self._ids = {}
        return tuple(Socket(row.source, STATES[row.state]) for row in rows if row.inode in own)

    def among(self, ports: Collection[int]) -> tuple[Socket, ...]:
        """Those with these ports of their own, which were there at the last look at all."""
        if self._ids.keys() >= set(ports):
            with suppress(OSError):
                return _sockets(sock_diag.again(self._ids[port] for port in ports))
        return tuple(socket for socket in self.all() if socket.port in ports)


def descriptors(pid: int) -> dict[int, int]:
    """A process's sockets: inode to descriptor; none once it has ended."""
    found: dict[int, int] = {}
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):
                kind, _, inode = os.readlink(f"{folder}/{name}").partition(":[")
                if kind == "socket":
                    found[int(inode[:-1])] = int(name)
    return found


def held(pid: int, ports: Collection[int]) -> list[Held]:
    """A process's connections to these ports, none once it has ended; each is asked by a copy of its descriptor.

    A look at the kernel's whole table takes a millisecond. Raises OSError where the kernel gives no copy
    (pidfd_getfd), as to a process that may not trace the other one, or in which no such call is.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return []
    try:
        copied = [_copied(process, number, ports) for number in descriptors(pid).values()]
    finally:
        os.close(process)
    return [end for end in copied if end is not None]


def _copied(process: int, number: int, ports: Collection[int]) -> Held | None:
    """One of them; None for what is no connection to one of these ports, or was closed meanwhile."""
    copy: int = _libc.syscall(PIDFD_GETFD, process, number, 0)
    if copy < 0:
        if (code := ctypes.get_errno()) in (errno.EBADF, errno.ESRCH):
            return None
        raise OSError(code, os.strerror(code))
    with socket.socket(fileno=copy) as end:
        if (end.family, end.type) != (socket.AF_INET, socket.SOCK_STREAM):
            return None
        state = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        try:
            (here, source), (there, target) = end.getsockname(), end.getpeername()
        except OSError:  # it has come to its end, or not yet to its beginning
            return None
        if target not in ports:
            return None
        cookie = end.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)
        return Held(
            state, source, os.fstat(end.fileno()).st_ino, sock_diag.identity((here, source), (there, target), cookie)
        )


def connected(pid: int, ports: Collection[int]) -> dict[int, bytes]:
    """The inodes of a process's sockets that are connected to one of these ports, as the kernel sees it now.

    With each what `talk` finds it by; b"" where netlink does not tell.
    """
    with suppress(OSError):
        return {end.inode: end.id for end in held(pid, ports) if end.state == ESTABLISHED}
    found: dict[int, bytes] = {}
    for port in ports:
        ends = _by_netlink(pid, port, (ESTABLISHED,))
        if ends is None:
            found |= {row.inode: b"" for row in _from_file(pid, port) if row.state == ESTABLISHED}
        else:
            found |= {end.inode: end.id for end in ends}
    own = descriptors(pid)
    return {inode: which for inode, which in found.items() if inode in own}


def talk(ends: Mapping[int, bytes]) -> dict[int, Talk]:
    """What has been said on these of the sockets that `connected` has found; nothing of those that were shut since.

    None where netlink does not tell.
    """
    found: dict[int, Talk] = {}
    with suppress(OSError):
        for end in sock_diag.again(filter(None, ends.values())):
            if end.inode in ends and end.state in (ESTABLISHED, CLOSE_WAIT):
                asked = end.acknowledged + end.unacknowledged
                found[end.inode] = Talk(asked, end.got, end.state == CLOSE_WAIT)
    return found


def listens(pid: int, port: int) -> bool:
    """Whether this very process listens on the port, in the lab's own network namespace."""
    try:
        inodes = {end.inode for end in sock_diag.endpoints(1 << sock_diag.LISTEN) if end.source == port}
    except OSError:  # netlink does not tell; the file does, at the price of all connections that there are
        inodes = {row.inode for row in _table(os.getpid()) if (row.state, row.source) == (sock_diag.LISTEN, port)}
    return bool(inodes & descriptors(pid).keys())


def clients(pid: int, port: int) -> tuple[Socket, ...]:
    """All of them, once."""
    return Clients(pid, port).all()


def _sockets(ends: Iterable[sock_diag.Endpoint]) -> tuple[Socket, ...]:
    return tuple(Socket(end.source, STATES[end.state]) for end in ends if end.state in STATES)


def _by_netlink(pid: int, port: int, states: Iterable[int]) -> list[sock_diag.Endpoint] | None:
    """The ends in these states; None where netlink does not tell, and the file has to."""
    try:
        if _namespace(pid) == _namespace(os.getpid()):
            return sock_diag.endpoints(sum(1 << state for state in states), port)
    except OSError:
        pass  # no such process, no such family or not allowed: the file says so too, or it knows
    return None


def _namespace(pid: int) -> tuple[int, int]:
    found = Path(f"/proc/{pid}/ns/net").stat()
    return found.st_dev, found.st_ino


class _Row(NamedTuple):
    """An end of a connection as the file has it: its state, its own port and that of the other end."""

    state: int
    source: int
    target: int
    inode: int


def _table(pid: int) -> Iterator[_Row]:
    """Every row of the process's namespace, whosever it is."""
    try:
        table = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return  # the process has ended, and its connections with it
    for line in table.splitlines()[1:]:
        _, local, remote, state, _, _, _, _, _, inode, *_ = line.split()
        yield _Row(int(state, 16), _port(local), _port(remote), int(inode))


def _from_file(pid: int, port: int) -> Iterator[_Row]:
    """The rows of clients of that port, in the states that are told."""
    return (row for row in _table(pid) if row.target == port and row.state in STATES)


def _port(place: str) -> int:
    """Of an address as the file writes it."""
    return int(place.rpartition(":")[2], 16)
