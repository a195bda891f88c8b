"""The lab's PostgreSQL, wherever it runs: ways into it, and its life."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Sequence
from typing import Any, Protocol

import psycopg2
from psycopg2 import sql

from lab.errors import ServerNotReady
from lab.fault import StopMode
from lab.rig.machine import port
from lab.rig.postgres import connection, template
from lab.rig.postgres.connection import OwnConnection
from lab.rig.postgres.postmaster import START_TIMEOUT

SUPERUSER = template.SUPERUSER
MAX_CONNECTIONS = 100
CONNECT_TIMEOUT = 5
"""Seconds for the lab's own connections (libpq takes whole seconds)."""

CLOSE_TIMEOUT = 1.0
"""Seconds to end in order at the end; there is nothing to keep, and a frozen session would make it long."""


class Process(Protocol):
    """A process of the server, by the number that the server itself knows it by."""

    @property
    def pid(self) -> int: ...


class PostmasterProtocol(Protocol):
    """The server's first process and its life."""

    generation: int
    """How often it was started: connections of an older generation are dead."""

    @property
    def pid(self) -> int:
        """As this machine knows it."""

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until sessions are accepted; no-op when running. `ServerNotReady` after `timeout` seconds."""

    def stop(self, mode: StopMode = "fast", timeout: float | None = None) -> bool:
        """Stop; False when it did not end as `mode` says within `timeout` seconds and was killed."""

    def kill(self, grace: float | None = ...) -> None:
        """SIGKILL; returns when its children have ended too."""

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until sessions are accepted. `ServerNotReady` after `timeout` seconds."""

    def signal_child(self, pid: int, name: signal.Signals) -> bool:
        """Send a signal to one child; False when it is none (any more)."""

    def children(self) -> Sequence[Process]:
        """All its processes."""


class Database:
    """A PostgreSQL server of this lab alone, with random passwords.

    `start`, `stop`, `restart`, `kill` and `crash` are for one thread at a time (`Rig.exclusive`); all else is for any.
    The address stays the same for life. `max_connections` counts all slots; `settings.RESERVED_SLOTS` of them are for
    superusers alone.
    """

    postmaster: PostmasterProtocol
    host = port.LOOPBACK
    """Where sessions that go by the network find it."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        self.max_connections = max_connections
        self.password = secrets.token_urlsafe(16)
        """The superuser's."""
        self.seat_password = secrets.token_urlsafe(16)
        """That of every seat's users."""

    @property
    def port(self) -> int:
        """The TCP port at `host`."""
        raise NotImplementedError

    @property
    def way(self) -> str:
        """By which host, or folder of a socket, the lab's own connections go."""
        return self.host

    @property
    def version(self) -> str:
        """E.g. "18.6"."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The postmaster's pid."""
        return self.postmaster.pid

    @property
    def generation(self) -> int:
        """Grows by one with every start: connections of an older generation are dead."""
        return self.postmaster.generation

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until sessions are accepted. No-op when running. `ServerNotReady` after `timeout` seconds."""
        self.postmaster.start(timeout)

    def stop(self, mode: StopMode = "fast", timeout: float | None = None) -> bool:
        """Stop; False when it did not end as `mode` says within `timeout` seconds and was killed."""
        return self.postmaster.stop(mode, timeout)

    def restart(self, mode: StopMode = "fast", timeout: float | None = None) -> bool:
        """Stop and start on the same port; returns what `stop` did."""
        in_order = self.stop(mode, timeout)
        self.start()
        return in_order

    def kill(self) -> None:
        """SIGKILL the postmaster; returns when its children have ended too."""
        self.postmaster.kill()

    def crash(self) -> None:
        """`kill` and start again: the server recovers from its log."""
        self.kill()
        self.start()

    def recover(self) -> None:
        """Start it when it is not there, restart it when it lets nobody in. No-op when all is well."""
        try:
            self.start()
            self.connect().close()
        except ServerNotReady:
            self.postmaster.kill(grace=0.0)
            self.start()

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until sessions are accepted, e.g. while it recovers. `ServerNotReady` after `timeout` seconds."""
        self.postmaster.wait_ready(timeout)

    def signal_backend(self, pid: int, name: signal.Signals) -> bool:
        """Send a signal to the process of one session; False when our server has no such child (any more)."""
        return self.postmaster.signal_child(pid, name)

    def stopped(self, pid: int) -> bool:
        """Whether the kernel holds that process of the server stopped."""
        raise NotImplementedError

    def forget(self, name: str) -> None:
        """Take a setting out of what ALTER SYSTEM has written, while the server is not there to be asked."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop, with nothing to keep."""
        self.stop(timeout=CLOSE_TIMEOUT)

    def parameters(self, user: str = SUPERUSER, dbname: str = "lab") -> dict[str, Any]:
        """Libpq's parameters, straight to the server and not through a proxy."""
        return {
            "host": self.way,
            "port": self.port,
            "user": user,
            "password": self.password if user == SUPERUSER else self.seat_password,
            "dbname": dbname,
            # What the environment says (PGOPTIONS, PGSSLMODE) is about somebody else's server.
            "options": "",
            "sslmode": "disable",
            "gssencmode": "disable",
            "connect_timeout": CONNECT_TIMEOUT,
        }

    def dsn(self, user: str = SUPERUSER, dbname: str = "lab") -> str:
        """The same as one string."""
        return connection.dsn(self.parameters(user, dbname))

    def connect(self, dbname: str = "lab", user: str = SUPERUSER, **extra: Any) -> OwnConnection:
        """Open an autocommit connection; as superuser it works when all ordinary slots are taken.

        Raises `ServerNotReady` when the server does not let us in within `CONNECT_TIMEOUT` seconds.
        """
        arguments = {"application_name": "lab-control", **self.parameters(user, dbname), **extra}
        try:
            return connection.connect(**arguments)
        except psycopg2.OperationalError as error:
            raise ServerNotReady(f"PostgreSQL on port {self.port} does not let us in: {error}") from error

    def set_passwords(self, first_password: str) -> None:
        """Give the roles of template.sql and the superuser their passwords, with the superuser's first one."""
        with self.connect(password=first_password) as connection:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier("lab_s00"), sql.Literal(self.seat_password)))
            # Hashed once, then copied: 80 ALTER ROLE would take longer than the server's start.
            connection.execute(
                "UPDATE pg_authid SET rolpassword = (SELECT rolpassword FROM pg_authid WHERE rolname = 'lab_s00') "
                r"WHERE rolname LIKE 'lab\_s%'"
            )
            connection.execute(statement.format(sql.Identifier(SUPERUSER), sql.Literal(self.password)))
