"""Listen ports that nobody else takes, not even while our server is down for a moment.

Two dangers: another lab choosing the same port, and the kernel giving it to an outgoing connection while a proxy is
being deleted and created again. Against the first, each port is locked by an abstract unix socket: its scope is
the network namespace, exactly that of the port, and it vanishes with the process. Against the second, ports lie
outside the range from which the kernel picks ports for outgoing connections.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Self

from lab.errors import ServerNotReady

LOOPBACK = "127.0.0.1"
LOCAL_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, HIGHEST = 10000, 65535
FEWEST = 500
"""Below so many ports outside the kernel's own range we choose from all of them."""


class Port:
    """A reserved listen port on loopback; `release` (or leaving the `with`) gives it back."""

    def __init__(self, number: int, lock: socket.socket) -> None:
        self.number = number
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the port back. May be called twice."""
        self._lock.close()


def reserve() -> Port:
    """Reserve a free port for this process. Raises `ServerNotReady` when all are taken."""
    numbers = _candidates()
    # Unseeded on purpose: labs started at once with the same seed should not all try the same ports first.
    start = random.SystemRandom().randrange(len(numbers))
    for step in range(len(numbers)):
        number = numbers[(start + step) % len(numbers)]
        lock = _lock(number)
        if lock is None:
            continue
        if bindable(number):
            return Port(number, lock)
        lock.close()
    raise ServerNotReady("no free TCP port on loopback", "end whatever listens on so many ports")


def bindable(number: int) -> bool:
    """Can a server listen on this port of loopback now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As both servers do: connections in TIME_WAIT do not keep them from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError:
            return False
    return True


def _candidates() -> range:
    low, high = _outgoing_range()
    below, above = range(LOWEST, min(low, HIGHEST + 1)), range(max(high + 1, LOWEST), HIGHEST + 1)
    best = max(below, above, key=len)
    return best if len(best) >= FEWEST else range(LOWEST, HIGHEST + 1)


def _outgoing_range() -> tuple[int, int]:
    try:
        low, high = LOCAL_PORT_RANGE.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 32768, 60999  # Linux's default
    return int(low), int(high)


def _lock(number: int) -> socket.socket | None:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0connection-lab-port-{number}")
    except OSError:
        lock.close()
        return None
    return lock
