"""The lab's PostgreSQL: a copy of the template with its own port and passwords, and ways into it."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from lab.errors import ServerNotReady
from lab.fault import StopMode
from lab.rig import binaries, port, process, settings, template
from lab.rig.postmaster import START_TIMEOUT, STOP_TIMEOUT, Postmaster, Site
from lab.rig.process import Home

SUPERUSER = template.SUPERUSER
MAX_CONNECTIONS = 100
CONNECT_TIMEOUT = 5
"""Seconds for the lab's own connections (libpq takes whole seconds)."""


LONGEST_SOCKET = 107
"""Characters of a unix socket's path that the kernel takes."""

CLOSE_TIMEOUT = 1.0
"""Seconds to end in order at the end; there is nothing to keep, and a frozen session would make it long."""


class Postgres:
    """A PostgreSQL server of this lab alone, on loopback, with random passwords.

    `start`, `stop`, `restart`, `kill` and `crash` are for one thread at a time (`Rig.exclusive`); all else is for any.
    The port stays the same for life. `max_connections` counts all slots; `settings.RESERVED_SLOTS` of them are for
    superusers alone. With `unix_socket` the lab's own connections go by a socket in the data folder, which needs no
    network.
    """

    def __init__(self, home: Home, max_connections: int = MAX_CONNECTIONS, *, unix_socket: bool = False) -> None:
        self.home = home
        self.max_connections = max_connections
        self.unix_socket = unix_socket
        self.password = secrets.token_urlsafe(16)
        """The superuser's."""
        self.seat_password = secrets.token_urlsafe(16)
        """That of every seat's users."""
        self.log_path = home.folder / "postgres.log"
        identity = process.unprivileged()
        found = binaries.find()
        # The template is named by where the programs were found, not by a lab's own copy of them.
        self._template_key = template.key(found, identity)
        usable = binaries.usable_by(found, identity, home.folder)
        self.postmaster = Postmaster(Site(usable, home.folder / "data", home, identity, self.log_path))
        self._port = port.reserve()
        if unix_socket and len(str(self._socket())) > LONGEST_SOCKET:
            self._port.release()
            raise ServerNotReady(f"{home.folder} is too long a name for a socket in it", "set TMPDIR to a shorter one")

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._port.number

    @property
    def pid(self) -> int:
        """The postmaster's pid."""
        return self.postmaster.pid

    @property
    def generation(self) -> int:
        """Grows by one with every start: connections of an older generation are dead."""
        return self.postmaster.generation

    @property
    def version(self) -> str:
        """E.g. "18.6"."""
        return self.postmaster.site.binaries.version

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until sessions are accepted; the first time, copy the template. No-op when running.

        Raises `ServerNotReady` after `timeout` seconds.
        """
        fresh = not self.postmaster.site.data.exists()
        first_password = self._copy_template() if fresh else ""
        self.postmaster.start(timeout)
        if fresh:
            self._set_passwords(first_password)

    def stop(self, mode: StopMode = "fast", timeout: float = STOP_TIMEOUT) -> bool:
        """Stop; False when it did not end as `mode` says within `timeout` seconds and was killed."""
        return self.postmaster.stop(mode, timeout)

    def restart(self, mode: StopMode = "fast", timeout: float = STOP_TIMEOUT) -> bool:
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

    def close(self) -> None:
        """Stop and give the port back."""
        self.stop(timeout=CLOSE_TIMEOUT)
        self._port.release()

    def parameters(self, user: str = SUPERUSER, dbname: str = "lab") -> dict[str, Any]:
        """Connection parameters for psycopg and psycopg2, straight to the server and not through a proxy."""
        return {
            "host": str(self._socket().parent) if self.unix_socket else port.LOOPBACK,
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
        return psycopg.conninfo.make_conninfo("", **self.parameters(user, dbname))

    def connect(self, dbname: str = "lab", user: str = SUPERUSER, **extra: Any) -> psycopg.Connection[Any]:
        """Open an autocommit connection; as superuser it works when all ordinary slots are taken.

        Raises `ServerNotReady` when the server does not let us in within `CONNECT_TIMEOUT` seconds.
        """
        arguments = {"application_name": "lab-control", **self.parameters(user, dbname), **extra}
        try:
            return psycopg.connect(autocommit=True, **arguments)
        except psycopg.OperationalError as error:
            raise ServerNotReady(f"PostgreSQL on port {self.port} does not let us in: {error}") from error

    def set_password(self, user: str, password: str) -> None:
        """Give a role another password; for seats, `seat_password` must be given back before the seat is."""
        with self.connect() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(password)))

    def log_offset(self) -> int:
        """The present end of the server's log, in bytes: a start for `log_slice`."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_slice(self, start: int, end: int | None = None) -> str:
        """What the server logged between two offsets (default: until now)."""
        with self.log_path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if end is None else max(0, end - start)).decode(errors="replace")

    def _socket(self) -> Path:
        return self.postmaster.site.data / f".s.PGSQL.{self.port}"

    def _copy_template(self) -> str:
        site = self.postmaster.site
        folder = template.ensure(site.binaries, site.identity, self.home, self._template_key)
        template.copy_tree(folder / "data", site.data, self.home)
        settings.write(site.data, self.port, self.max_connections, site.binaries.major, unix_socket=self.unix_socket)
        return Path(folder / "password").read_text(encoding="ascii")

    def _set_passwords(self, first_password: str) -> None:
        with self.connect(password=first_password) as connection:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier("lab_s00"), sql.Literal(self.seat_password)))
            # Hashed once, then copied: 80 ALTER ROLE would take longer than the server's start.
            connection.execute(
                "UPDATE pg_authid SET rolpassword = (SELECT rolpassword FROM pg_authid WHERE rolname = 'lab_s00') "
                r"WHERE rolname LIKE 'lab\_s%'"
            )
            connection.execute(statement.format(sql.Identifier(SUPERUSER), sql.Literal(self.password)))
