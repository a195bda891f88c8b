"""The docker rig's PostgreSQL: a container of the official image, in the version that was asked for."""

from __future__ import annotations

import io
import signal
import tarfile
import time

from lab.errors import ServerNotReady
from lab.fault import StopMode
from lab.rig.docker.container import STOPPED, Inmate, RigContainer
from lab.rig.docker.containers import Containers
from lab.rig.docker.engine import asking
from lab.rig.postgres import settings, template
from lab.rig.postgres.connection import accepts
from lab.rig.postgres.database import MAX_CONNECTIONS, SUPERUSER, Database
from lab.rig.postgres.postmaster import START_TIMEOUT, STOP_SIGNALS
from lab.timing import STOP

PORT = 5432
SETUP_TIMEOUT = 60.0
"""Seconds for the first start, which makes the data folder; it takes 1.5."""

READY_INTERVAL = 0.02
READY_TIMEOUT = 2.0
"""Seconds for one question whether it lets sessions begin."""
FIRST = 1
"""The postmaster's number in its container."""

SIGNAL_CHILD = """read -r _ _ _ parent _ </proc/"$1"/stat && [ "$parent" = 1 ] && kill -"$2" "$1" """
"""Slim images have no `kill`, but their shell has one."""


class ContainerPostmaster:
    """A server process that is the first of its container: with it everything in the container ends."""

    def __init__(self, container: RigContainer, host: str) -> None:
        self.container = container
        self.generation = 1  # the container was started when it was made
        self._host = host

    @property
    def pid(self) -> int:
        """As this machine knows it. Raises `ServerNotReady` when it does not run."""
        return self.container.pid

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start and wait until sessions are accepted. No-op when running. `ServerNotReady` after `timeout` seconds."""
        if not self.container.running():
            self.container.start()
            self.generation += 1
            self.wait_ready(timeout)

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until sessions are accepted. `ServerNotReady` after `timeout` seconds, or when it has ended."""
        until = time.monotonic() + timeout
        # By the network: while it sets itself up it listens on its socket alone, and then starts again.
        while not accepts(self._host, PORT, SUPERUSER, "template1", READY_TIMEOUT):
            if time.monotonic() > until or not self.container.running():
                raise ServerNotReady(
                    f"PostgreSQL in its container is not ready: {self.container.said()}", "run lab doctor"
                )
            time.sleep(READY_INTERVAL)

    def stop(self, mode: StopMode = "fast", timeout: float | None = None) -> bool:
        """Stop; False when it did not end as `mode` says within `timeout` seconds and was killed."""
        self.container.kill(STOP_SIGNALS[mode].name)
        if self.container.ended(STOP.seconds if timeout is None else timeout):
            return True
        self.kill()
        return False

    def kill(self, grace: float | None = None) -> None:
        """SIGKILL; the kernel ends its children with it."""
        self.container.kill()
        if not self.container.ended(STOP.seconds):
            raise ServerNotReady(f"the container {self.container.sdk.name} does not end", "look at the engine's log")

    def signal_child(self, pid: int, name: signal.Signals) -> bool:
        """Send a signal to one child, by its number in the container; False when it is none (any more)."""
        return self.container.run(SIGNAL_CHILD, str(pid), name.name.removeprefix("SIG")) is not None

    def children(self) -> list[Inmate]:
        """All that the postmaster started."""
        return [inmate for inmate in self.container.inmates() if inmate.parent == FIRST]


class DockerPostgres(Database):
    """PostgreSQL by its container's own address."""

    postmaster: ContainerPostmaster

    def __init__(self, containers: Containers, max_connections: int = MAX_CONNECTIONS) -> None:
        super().__init__(max_connections)
        self.host = containers.postgres_host
        self.postmaster = ContainerPostmaster(containers.postgres, self.host)
        self._first_password = containers.password
        self._ours = containers.ours
        if not self._ours:
            self.password = containers.password  # the next lab must get in as well
        self._version = ""

    @property
    def port(self) -> int:
        """The usual one: the address is ours alone."""
        return PORT

    @property
    def version(self) -> str:
        """E.g. "17.10"."""
        return self._version

    def set_up(self) -> None:
        """Wait for its first start, then make the lab's databases and roles. Raises `ServerNotReady`."""
        if not self._ours:
            self.postmaster.kill()  # an earlier lab may have left it in any state
            self.postmaster.start(SETUP_TIMEOUT)
        self.postmaster.wait_ready(SETUP_TIMEOUT)
        if not self._ours:
            template.clear(self.host, self.port, self._first_password)
        template.fill(self.host, self.port, self._first_password)
        self.set_passwords(self._first_password)
        with self.connect() as connection:
            self._version = connection.info.parameter_status("server_version") or ""
            self._version = self._version.partition(" ")[0]  # Debian appends its own

    def stopped(self, pid: int) -> bool:
        """Whether the kernel holds that process stopped."""
        return any(inmate.pid == pid and inmate.state == STOPPED for inmate in self.postmaster.container.inmates())

    def forget(self, name: str) -> None:
        """Take a setting out of what ALTER SYSTEM has written; the container may have ended."""
        container = self.postmaster.container
        with asking("read postgresql.auto.conf"):
            folder = dict(part.split("=", 1) for part in container.sdk.attrs["Config"]["Env"])["PGDATA"]
            chunks, _ = container.sdk.get_archive(f"{folder}/postgresql.auto.conf")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                (member,) = archive.getmembers()
                file = archive.extractfile(member)
                text = file.read().decode() if file else ""
            container.sdk.put_archive(folder, _packed(member, settings.without(text, name)))

    def close(self) -> None:
        """Nothing to keep: the container is removed with the rest."""


def _packed(member: tarfile.TarInfo, text: str) -> bytes:
    """One file with its owner and mode as they were."""
    data, out = text.encode(), io.BytesIO()
    member.size = len(data)
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()
