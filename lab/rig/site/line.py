"""One way of a plan to the server, and what a connection of the lab's own through it meets."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2

from lab.errors import ServerNotReady
from lab.fault import Attempt, ConnectionState, Knock
from lab.records.record import LineKind
from lab.rig.direct import Direct
from lab.rig.postgres.connection import OwnConnection, connect
from lab.rig.protocol import ProxyProtocol
from lab.rig.site.link import PlanLink
from lab.timing import ATTEMPT, WITNESS
from lab.wire.tap import TapPort

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""The shortest question to a PostgreSQL server; the answer is one byte, and no session is made."""

TCP_INFO_SIZE, TCP_BYTES_RECEIVED_AT = 136, 128
TCP_BYTES_RECEIVED = struct.Struct("=Q")
"""Of the kernel's `struct tcp_info`: tcpi_bytes_received."""

UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH)


class Line:
    """A proxy of the plan's own, with the wire tap in front where the plan wants it, or the server's own address.

    Several aliases may share one.
    """

    def __init__(self, link: PlanLink, proxy: ProxyProtocol, tap: TapPort | None = None) -> None:
        self.link = link
        self.tap = tap
        self._proxy = proxy
        self._own = 0

    @property
    def host(self) -> str:
        """Where the subject connects to: the tap is on loopback, wherever the proxy is."""
        return self._proxy.host if self.tap is None else str(self.tap.host)

    @property
    def port(self) -> int:
        """Where the subject connects to."""
        return self._proxy.port if self.tap is None else self.tap.port

    @property
    def kind(self) -> LineKind:
        """By what it leads to the server."""
        if self.tap is not None:
            return "tap"
        return "direct" if isinstance(self._proxy, Direct) else "proxy"

    @property
    def shared(self) -> bool:
        """Whether other plans have the same address at the same time."""
        return self.kind == "direct"

    def accepted(self) -> int:
        """How many connections it has taken so far, the lab's own among them; -1: it is not known."""
        return self._proxy.accepted() if self.tap is None else self.tap.accepted

    def connects(self) -> int:
        """How many connections the subject has made to it so far, however they ended; -1: it is not known."""
        accepted = self.accepted()
        return accepted if accepted < 0 else accepted - self._own

    # -- connections of the lab's own ---------------------------------------------------------------------------------

    def attempt(self, where: dict[str, Any], name: str) -> Attempt:
        """Try to get a session as the subject does, with its DATABASES entry, and to ask it something."""
        try:
            connection = self._connect(where, name)
        except psycopg2.OperationalError as refusal:
            return "refused" if "password authentication failed" in str(refusal) else "unreachable"
        with suppress(psycopg2.Error), connection:
            connection.execute("SELECT 1")
            return "served"
        return "cut"

    def greeting(self, where: dict[str, Any], name: str) -> int:
        """How many bytes the server sends through the line until a new session is ready.

        Raises ServerNotReady where it gives none: other plans may have all its slots.
        """
        try:
            connection = self._connect(where, name)
        except psycopg2.OperationalError as refusal:
            raise ServerNotReady(f"PostgreSQL gives the lab no session of its own: {refusal}") from refusal
        with connection, socket.socket(fileno=os.dup(connection.fileno())) as line:
            info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
            return int(TCP_BYTES_RECEIVED.unpack_from(info, TCP_BYTES_RECEIVED_AT)[0])

    def _connect(self, where: dict[str, Any], name: str) -> OwnConnection:
        """A session of our own, with the parameters that the subject's have."""
        self._own += 1
        return connect(
            host=self.host,
            port=self.port,
            user=where["USER"],
            password=where["PASSWORD"],
            dbname=where["NAME"],
            application_name=name,
            client_encoding="UTF8",
            connect_timeout=round(ATTEMPT.seconds),
            sslmode="disable",
            gssencmode="disable",
        )

    @contextmanager
    def witness(self) -> Iterator[Callable[[], ConnectionState]]:
        """A connection of our own; yields the way to ask how it has ended."""
        try:
            connection = socket.create_connection((self.host, self.port), WITNESS.seconds)
        except OSError:
            yield lambda: "refused"
            return
        self._own += 1
        with connection:
            with suppress(OSError):
                connection.sendall(SSL_REQUEST)
                connection.recv(1)  # answered: it has come through to the server
            connection.setblocking(False)
            yield lambda: _end(connection)

    def knock(self, timeout: float, size: int = 8) -> Knock:
        """Ask through the line on a fresh connection and wait at most `timeout` seconds."""
        begun = time.monotonic()
        seconds, count = 0.0, 0
        end: ConnectionState = "open"
        try:
            with socket.create_connection((self.host, self.port), timeout) as connection:
                self._own += 1
                connection.sendall(_question(size))
                while not count or size > len(SSL_REQUEST):
                    connection.settimeout(max(begun + timeout - time.monotonic(), 0.001))
                    if not (data := connection.recv(1 << 16)):
                        end = "fin"
                        break
                    seconds, count = seconds or time.monotonic() - begun, count + len(data)
        except ConnectionRefusedError:
            end = "refused"
        except ConnectionError:
            end = "rst"
        except OSError as error:
            # No answer, be it that nothing comes back or that, after a while, the kernel gives the way up.
            if not isinstance(error, TimeoutError) and error.errno not in UNREACHABLE:
                raise
        return Knock(seconds or time.monotonic() - begun, count, end)


def _end(connection: socket.socket) -> ConnectionState:
    """How the other side has ended a connection; asking does not change it."""
    try:
        return "open" if connection.recv(1, socket.MSG_PEEK) else "fin"
    except BlockingIOError:
        return "open"
    except OSError:
        connection.close()
        return "rst"


def _question(size: int) -> bytes:
    """An SSLRequest, or a start-up message of `size` bytes that the server refuses before it asks who we are.

    The refusal quotes what was wrong with it, so that the answer is longer than the question.
    """
    if size <= len(SSL_REQUEST):
        return SSL_REQUEST
    head, tail = b"user\0lab_spare\0replication\0", b"\0\0"
    filler = b"x" * max(size - 8 - len(head) - len(tail), 16)
    body = head + filler + tail
    return struct.pack("!ihh", len(body) + 8, 3, 0) + body
