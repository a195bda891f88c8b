"""The kernel's table of TCP connections: which clients are connected to a port, and in which state.

Asked through netlink (sock_diag), which looks for one port in half a millisecond; the text file /proc/PID/net/tcp takes
ten and more when the kernel still remembers a few thousand closed connections. The file is read where netlink is not
allowed, or the process in question lives in another network namespace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

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


def clients(pid: int, port: int) -> tuple[Socket, ...]:
    """The clients' ends of all connections to `port`, in the network namespace of process `pid`."""
    try:
        if _namespace(pid) == _namespace(os.getpid()):
            return tuple(_from_netlink(port))
    except OSError:
        pass  # no such process, no such family or not allowed: the file says so too, or it knows
    return tuple(_from_file(pid, port))


def _namespace(pid: int) -> tuple[int, int]:
    found = Path(f"/proc/{pid}/ns/net").stat()
    return found.st_dev, found.st_ino


def _from_netlink(port: int) -> Iterator[Socket]:
    for end in sock_diag.endpoints(sum(1 << state for state in STATES), port):
        yield Socket(end.source, STATES[end.state])


def _from_file(pid: int, port: int) -> Iterator[Socket]:
    try:
        table = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii")
    except FileNotFoundError:
        return  # the process has ended, and its connections with it
    for line in table.splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if int(remote.rpartition(":")[2], 16) == port and int(state, 16) in STATES:
            yield Socket(int(local.rpartition(":")[2], 16), STATES[int(state, 16)])
