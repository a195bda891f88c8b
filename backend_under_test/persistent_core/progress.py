"""What a socket's own counters tell of a call that takes long.

A client cannot tell a slow server from a silent path by waiting. But a COPY, an executemany or a large parameter that
is on its way moves bytes all the time, and the kernel counts them: what the peer has acknowledged, and what has come.
The probes of a closed window are no such bytes: a server that does not read makes no progress.
"""

from __future__ import annotations

import struct
from socket import IPPROTO_TCP
from typing import Any

PROGRESS = 65536
"""Bytes in one deadline's time by which a call is bulky and under way. Far more than a path that trickles moves."""

_TCP_INFO = 11
_COUNTERS = struct.Struct("@QQ")
_OFFSET = 120
"""Of tcpi_bytes_acked and tcpi_bytes_received in Linux's struct tcp_info, since 4.1."""


def bytes_moved(sock: Any) -> int:
    """The bytes that its peer has acknowledged and those that have arrived; 0 where the system does not count them."""
    try:
        info = sock.getsockopt(IPPROTO_TCP, _TCP_INFO, _OFFSET + _COUNTERS.size)
    except OSError:  # closed, or a unix socket
        return 0
    if len(info) < _OFFSET + _COUNTERS.size:
        return 0
    return sum(_COUNTERS.unpack_from(info, _OFFSET))
