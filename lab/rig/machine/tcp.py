"""The kernel's table of TCP connections: who is connected to a port, and in which state.

Asked through netlink (sock_diag), which looks for one port in half a millisecond; the text file that everybody knows
takes ten and more when a few thousand closed connections are still remembered. Where netlink is not to be had, or the
process in question lives in another network namespace, it is the file after all.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from lab.fault import Socket

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

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
REQUEST_DUMP = 0x301
ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ASK = struct.Struct("=BBxxI")  # family, protocol, states wanted
ADDRESS = struct.Struct("!HH16s16s")  # source and destination port, addresses (any)
ANYWHERE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # interface, no cookie
FOUND = struct.Struct("!xBxxH")  # state, source port
ANSWER_SIZE = 1 << 16


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
    wanted = sum(1 << state for state in STATES)
    ask = ASK.pack(socket.AF_INET, socket.IPPROTO_TCP, wanted) + ADDRESS.pack(0, port, b"", b"") + ANYWHERE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)
        kernel.send(HEADER.pack(HEADER.size + len(ask), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 1, 0) + ask)
        while True:
            answer = kernel.recv(ANSWER_SIZE)
            at = 0
            while at < len(answer):
                length, kind, *_ = HEADER.unpack_from(answer, at)
                if kind == DONE:
                    return
                if kind == ERROR:
                    raise OSError(-struct.unpack_from("=i", answer, at + HEADER.size)[0], "sock_diag")
                state, local = FOUND.unpack_from(answer, at + HEADER.size)
                yield Socket(local, STATES[state])
                at += (length + 3) & ~3


def _from_file(pid: int, port: int) -> Iterator[Socket]:
    try:
        table = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii")
    except FileNotFoundError:
        return  # the process has ended, and its connections with it
    for line in table.splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if int(remote.rpartition(":")[2], 16) == port and int(state, 16) in STATES:
            yield Socket(int(local.rpartition(":")[2], 16), STATES[int(state, 16)])
