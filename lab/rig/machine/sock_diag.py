"""The kernel's own view of TCP connections: all that this project says to it through netlink (sock_diag).

Structures: linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h and linux/tcp.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SOCK_DIAG = 4
BY_FAMILY, DESTROY = 20, 21
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ASK = struct.Struct("=BBBxI")  # family, protocol, what beside, states; then which connection
FOUND = struct.Struct("=xBxx48s8xI4xI")  # state, which connection, bytes that wait to be acknowledged, inode
PORTS = struct.Struct("!HH44x")  # which connection: its ports, then addresses, interface and cookie
ATTRIBUTE = struct.Struct("=HH")
SEGMENTS = struct.Struct("=100xI16xQQII")
"""Of struct tcp_info: retransmissions, bytes acknowledged, bytes got, segments out, segments in."""
DROPS = struct.Struct("=32xI")  # of the SK_MEMINFO array: packets thrown away
INFO, MEMORY = 2, 7  # INET_DIAG_INFO: struct tcp_info; INET_DIAG_SKMEMINFO
BESIDE = 1 << (INFO - 1) | 1 << (MEMORY - 1)
ESTABLISHED, TIME_WAIT, LISTEN = 1, 6, 10  # of include/net/tcp_states.h
EVERY_STATE = 0xFFF & ~(1 << TIME_WAIT)  # of those that are closed in good order there may be thousands
ANSWER_SIZE = 1 << 16
DEADLINE = 1.0
ANYWHERE = bytes(36) + b"\xff" * 8  # any addresses and interface, no cookie


class Endpoint(NamedTuple):
    """One end of a connection, or a listener.

    `source` is its own port, `target` the other end's (0 for a listener); `inode` is 0 when no process holds it.
    `sent` and `received` count segments, `retransmitted` those that were sent again; `dropped` counts the packets for
    it that were thrown away before TCP saw them. `unacknowledged` are the bytes that it has sent, or has still to send,
    and that the other end has not acknowledged; `acknowledged` those that it has, `got` those that have come from it.
    """

    state: int
    source: int
    target: int
    inode: int
    sent: int
    received: int
    retransmitted: int
    dropped: int
    id: bytes
    unacknowledged: int = 0
    acknowledged: int = 0
    got: int = 0


def endpoints(states: int = EVERY_STATE, target: int = 0) -> list[Endpoint]:
    """The IPv4 endpoints in this process's network namespace, in about a millisecond.

    `states` is a mask, 1 << state for each that is wanted; `target` is the port of the other end, 0: any. Raises
    OSError when the kernel refuses to tell.
    """
    ask = ASK.pack(socket.AF_INET, socket.IPPROTO_TCP, BESIDE, states)
    return list(_dump(ask + struct.pack("!HH", 0, target) + ANYWHERE))


def again(ids: Iterable[bytes]) -> list[Endpoint]:
    """The endpoints with these `id`s as they are now, without those that are gone.

    Each is looked up by itself, in a few microseconds: `endpoints` makes the kernel walk through its whole table, which
    has 200,000 places. Raises OSError when the kernel refuses to tell.
    """
    found = []
    with _kernel() as kernel:
        for which in ids:
            ask = ASK.pack(socket.AF_INET, socket.IPPROTO_TCP, BESIDE, EVERY_STATE | 1 << TIME_WAIT) + which
            kernel.send(HEADER.pack(HEADER.size + len(ask), BY_FAMILY, REQUEST, 1, 0) + ask)
            answer = kernel.recv(ANSWER_SIZE)
            length, kind, *_ = HEADER.unpack_from(answer)
            if kind != ERROR:
                found.append(_endpoint(answer[HEADER.size : length]))
                continue
            code = -int(struct.unpack_from("=i", answer, HEADER.size)[0])
            if code != 2:  # ENOENT
                raise OSError(code, os.strerror(code))
    return found


def identity(here: tuple[str, int], there: tuple[str, int], cookie: bytes) -> bytes:
    """The `id` of an IPv4 endpoint of which address and port of both ends are known, and the kernel's SO_COOKIE."""
    addresses = b"".join(socket.inet_aton(address) + bytes(12) for address, _ in (here, there))
    (number,) = struct.unpack("=Q", cookie)
    low, high = number & 0xFFFFFFFF, number >> 32
    return struct.pack("!HH", here[1], there[1]) + addresses + struct.pack("=III", 0, low, high)


def destroy(end: Endpoint) -> bool:
    """Abort one end (`ss -K`): its process gets ECONNABORTED, the other one an RST. Needs CAP_NET_ADMIN.

    False when it is gone already. Raises OSError when the kernel refuses.
    """
    ask = ASK.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << end.state) + end.id
    with _kernel() as kernel:
        kernel.send(HEADER.pack(HEADER.size + len(ask), DESTROY, REQUEST | ACK, 1, 0) + ask)
        answer = kernel.recv(ANSWER_SIZE)
    code = -int(struct.unpack_from("=i", answer, HEADER.size)[0])
    if code and code != 2:  # ENOENT
        raise OSError(code, os.strerror(code))
    return not code


def _kernel() -> socket.socket:
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG)
    kernel.settimeout(DEADLINE)
    return kernel


def _dump(ask: bytes) -> Iterator[Endpoint]:
    with _kernel() as kernel:
        kernel.send(HEADER.pack(HEADER.size + len(ask), BY_FAMILY, REQUEST | DUMP, 1, 0) + ask)
        while True:
            answer = kernel.recv(ANSWER_SIZE)
            at = 0
            while at < len(answer):
                length, kind, *_ = HEADER.unpack_from(answer, at)
                if kind == DONE:
                    return
                if kind == ERROR:
                    code = -int(struct.unpack_from("=i", answer, at + HEADER.size)[0])
                    raise OSError(code, os.strerror(code))
                yield _endpoint(answer[at + HEADER.size : at + length])
                at += (length + 3) & ~3


def _endpoint(message: bytes) -> Endpoint:
    state, which, waiting, inode = FOUND.unpack_from(message)
    source, target = PORTS.unpack(which)
    retransmitted = sent = received = dropped = acknowledged = got = 0
    at = FOUND.size
    while at + ATTRIBUTE.size <= len(message):
        length, kind = ATTRIBUTE.unpack_from(message, at)
        if kind == INFO and length >= ATTRIBUTE.size + SEGMENTS.size:
            retransmitted, acknowledged, got, sent, received = SEGMENTS.unpack_from(message, at + ATTRIBUTE.size)
        elif kind == MEMORY and length >= ATTRIBUTE.size + DROPS.size:
            (dropped,) = DROPS.unpack_from(message, at + ATTRIBUTE.size)
        at += max((length + 3) & ~3, ATTRIBUTE.size)
    counts = sent, received, retransmitted, dropped
    return Endpoint(state, source, target, inode, *counts, which, waiting, acknowledged, got)
