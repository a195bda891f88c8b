"""The embedded rig's PostgreSQL: a copy of the template with its own port and passwords."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import psutil

from lab.errors import ServerNotReady
from lab.rig.machine import port, process
from lab.rig.machine.process import Home
from lab.rig.postgres import binaries, settings, template
from lab.rig.postgres.database import MAX_CONNECTIONS, SUPERUSER, Database
from lab.rig.postgres.postmaster import START_TIMEOUT, Installation, Postmaster

__all__ = ["MAX_CONNECTIONS", "SUPERUSER", "Postgres"]

LONGEST_SOCKET = 107
"""Characters of a unix socket's path that the kernel takes."""


class Postgres(Database):
    """A server on loopback, child of this process.

    With `unix_socket` the lab's own connections go by a socket in the data folder, which needs no network.
    """

    postmaster: Postmaster

    def __init__(self, home: Home, max_connections: int = MAX_CONNECTIONS, *, unix_socket: bool = False) -> None:
        super().__init__(max_connections)
        self.home = home
        self.unix_socket = unix_socket
        self._stopped: dict[int, psutil.Process] = {}
        self.log_path = home.folder / "postgres.log"
        identity = process.unprivileged()
        found = binaries.find()
        # The template is named by where the programs were found, not by a lab's own copy of them.
        self._template_key = template.key(found, identity)
        usable = binaries.usable_by(found, identity, home.folder)
        self.postmaster = Postmaster(Installation(usable, home.folder / "data", home, identity, self.log_path))
        self._port = port.reserve()
        if unix_socket and len(str(self._socket())) > LONGEST_SOCKET:
            self._port.release()
            raise ServerNotReady(f"{home.folder} is too long a name for a socket in it", "set TMPDIR to a shorter one")

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._port.number

    @property
    def way(self) -> str:
        """The folder of the socket, where there is to be one."""
        return str(self._socket().parent) if self.unix_socket else port.LOOPBACK

    @property
    def version(self) -> str:
        """E.g. "18.6"."""
        return self.postmaster.installation.binaries.version

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until sessions are accepted; the first time, copy the template. No-op when running.

        Raises `ServerNotReady` after `timeout` seconds.
        """
        fresh = not self.postmaster.installation.data.exists()
        first_password = self._copy_template() if fresh else ""
        self.postmaster.start(timeout)
        if fresh:
            self.set_passwords(first_password)

    def signal_backend(self, pid: int, name: signal.Signals) -> bool:
        """Send a signal to the process of one session; False when our server has no such child (any more).

        What was stopped here is continued even when the postmaster has died meanwhile: a stopped orphan would keep the
        shared memory, and no successor could start.
        """
        if name == signal.SIGCONT and (stopped := self._stopped.pop(pid, None)) is not None:
            with suppress(psutil.NoSuchProcess):
                stopped.send_signal(name)  # psutil checks that the pid still is this process
            return True
        if name == signal.SIGSTOP:
            with suppress(psutil.NoSuchProcess):
                self._stopped[pid] = psutil.Process(pid)
        found = super().signal_backend(pid, name)
        if not found:
            self._stopped.pop(pid, None)
        return found

    def stopped(self, pid: int) -> bool:
        """Whether the kernel holds that process of the server stopped."""
        return process.is_stopped(pid)

    def forget(self, name: str) -> None:
        """Take a setting out of what ALTER SYSTEM has written, in place, so that its owner stays."""
        file = self.postmaster.installation.data / "postgresql.auto.conf"
        file.write_text(settings.without(file.read_text(encoding="utf-8"), name), encoding="utf-8")

    def close(self) -> None:
        """Stop and give the port back."""
        super().close()
        self._port.release()

    def log_offset(self) -> int:
        """The present end of the server's log, in bytes: a start for `log_slice`."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_slice(self, start: int, end: int | None = None) -> str:
        """What the server logged between two offsets (default: until now)."""
        with self.log_path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if end is None else max(0, end - start)).decode(errors="replace")

    def _socket(self) -> Path:
        return self.postmaster.installation.data / f".s.PGSQL.{self.port}"

    def _copy_template(self) -> str:
        installation = self.postmaster.installation
        folder = template.ensure(installation.binaries, installation.identity, self.home, self._template_key)
        template.copy_tree(folder / "data", installation.data, self.home)
        settings.write(
            installation.data,
            self.port,
            self.max_connections,
            installation.binaries.major,
            unix_socket=self.unix_socket,
        )
        return Path(folder / "password").read_text(encoding="ascii")
