"""What all rigs share: servers held together, started in order and ended on every path."""

from __future__ import annotations

import platform
import queue
import secrets
import select
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Self

from psycopg2 import sql

from lab.errors import BadInput, ServerNotReady
from lab.fault import Net
from lab.rig.machine import cache, port, process
from lab.rig.machine.guarded import ProcessGuardian
from lab.rig.machine.lock import SharedLock
from lab.rig.postgres.connection import OwnConnection
from lab.rig.postgres.database import MAX_CONNECTIONS, SUPERUSER, Database
from lab.rig.postgres.server import PostgresServer
from lab.rig.protocol import ProxyProtocol, Seat, ServerLog
from lab.rig.toxiproxy.binary import Notify
from lab.rig.toxiproxy.proxies import Proxy, ProxyServer
from lab.rig.toxiproxy.toxic import Installed
from lab.timing import RELOAD
from lab.wire.tap import Tap, TapPort

SEATS = 40
"""As many as template.sql makes."""

_Place = tuple[threading.Thread, str]


class BaseRig:
    """PostgreSQL and Toxiproxy. Enter it (`with SomeRig() as rig:`) once.

    However this process ends, its guardian ends every process with `environ()` or with its cwd in `folder`, and removes
    the folder. Raises `ToolMissing` or `ServerNotReady`, each with its remedy.
    """

    name = ""
    host = port.LOOPBACK
    capabilities: frozenset[str] = frozenset()
    several = True
    """Whether another one can run beside it."""

    def __init__(self, progress: Notify = lambda _: None, max_connections: int = MAX_CONNECTIONS) -> None:
        self.lab_id = secrets.token_hex(6)
        self.folder = _temporary_root() / f"lab-{self.lab_id}"
        self.postgres: Database
        self.toxiproxy: ProxyServer
        self.server: PostgresServer
        self.guardian: ProcessGuardian
        self._progress = progress
        self._max_connections = max_connections
        self._lock = SharedLock()
        self._seats: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._controls = _Controls()
        self._recovery = threading.Lock()
        self._tap = Tap()
        self._tapping = threading.Lock()
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # The guardian first: from here on nothing can stay behind.
            self.guardian = ProcessGuardian(self.lab_id, [self.folder, cache.stages(self.lab_id)])
            stack.callback(self.guardian.release)
            self._start(stack)
            self.guardian.wait_armed()
            stack.callback(self._tap.stop)
            for ordinal in range(SEATS):
                self._seats.put(ordinal)
            self._ready()
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._exit.close()

    @property
    def log(self) -> ServerLog | None:
        """PostgreSQL's log; None where it cannot be read piece by piece."""
        return None

    def environ(self) -> dict[str, str]:
        """What a process must have in its environment to end with the lab."""
        return {process.LAB_ID: self.lab_id}

    def versions(self) -> dict[str, str]:
        """What runs: postgresql, toxiproxy, python."""
        return {
            "postgresql": self.postgres.version,
            "toxiproxy": self.toxiproxy.version,
            "python": platform.python_version(),
        }

    def trust(self) -> None:
        """Let every user in with any password but the superuser; call it before anybody connects."""
        rules = (f"host all {SUPERUSER} all scram-sha-256", "local all all scram-sha-256", "host all all all trust")
        connection = self.control()
        (path,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        lines = sql.SQL("SELECT unnest({}::text[])").format(sql.Literal(list(rules)))
        connection.execute(sql.SQL("COPY ({}) TO {}").format(lines, sql.Literal(path)))
        before = connection.execute("SELECT pg_conf_load_time()").fetchone()
        connection.execute("SELECT pg_reload_conf()")
        loaded = lambda: connection.execute("SELECT pg_conf_load_time()").fetchone() != before  # noqa: E731
        if not process.wait_until(loaded, RELOAD.seconds):
            raise ServerNotReady(f"PostgreSQL did not reload its settings within {RELOAD.seconds:.0f} s")
        self.capabilities = self.capabilities - {"password"}

    def shared(self) -> AbstractContextManager[None]:
        """For a plan that concerns only its own connections: many at once."""
        return self._lock.shared()

    def exclusive(self) -> AbstractContextManager[None]:
        """For a fault that ends other people's connections: alone, and before whoever comes after."""
        return self._lock.exclusive()

    @contextmanager
    def seat(self) -> Iterator[Seat]:
        """A pair of users for one plan alone; waits while all 40 are taken."""
        ordinal = self._seats.get()
        try:
            yield Seat(ordinal, self.postgres.seat_password)
        finally:
            self._seats.put(ordinal)

    def control(self, dbname: str = "lab") -> OwnConnection:
        """This thread's autocommit superuser connection, straight to the server, opened anew when it was lost.

        It gets in when all ordinary slots are taken. Do not close it. Raises `ServerNotReady`.
        """
        return self._controls.get(self.postgres, dbname)

    @property
    def direct(self) -> ProxyProtocol | None:
        """The way to the server without a proxy, where the subject can go it."""
        return None

    def proxy(self, name: str, toxics: Sequence[Installed] = ()) -> Proxy:
        """A proxy to PostgreSQL for one plan; use it as a context manager. Raises `ProxyLost`."""
        return self.toxiproxy.proxy(name, self.postgres.port, toxics)

    def net(
        self, ports: Collection[int], clients: Callable[[], Iterable[int]], sessions: Callable[[], Iterable[int]]
    ) -> Net:
        """The packets of one plan's line, in rigs that are capable of loss; this one is not: `BadInput`."""
        raise BadInput(f"the {self.name} rig cannot lose packets", "use --rig netns")

    def tap_port(self, number: int) -> TapPort:
        """A port of the wire tap in front of a proxy; the tap's thread is started for the first one."""
        with self._tapping:
            self._tap.start()
        return self._tap.open((self.host, number), listen_host=port.LOOPBACK)

    def freeze(self) -> None:
        """Stop the proxies' server: silence for every plan, nothing lost."""
        self.toxiproxy.freeze()

    def thaw(self) -> None:
        """Let it run again."""
        self.toxiproxy.thaw()

    def recover(self) -> None:
        """Replace Toxiproxy when it is wedged or dead, start PostgreSQL when it is not there. No-op when all is well.

        Takes up to 2 s to find a wedged server out. Raises `ServerNotReady` when it does not help.
        """
        with self._recovery:
            if not self.toxiproxy.alive():
                self.toxiproxy.restart()
            self.postgres.recover()

    def _start(self, stack: ExitStack) -> None:
        """Start the servers, each with what ends it put on `stack` first."""
        raise NotImplementedError

    def _ready(self) -> None:
        """What is still to be seen before anybody may use it."""


class _Controls:
    """Control connections by thread and database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[_Place, tuple[int, OwnConnection]] = {}

    def get(self, postgres: Database, dbname: str) -> OwnConnection:
        place = (threading.current_thread(), dbname)
        generation, connection = self._open.get(place, (0, None))
        if connection is None or generation != postgres.generation or not _usable(connection):
            generation, connection = postgres.generation, postgres.connect(dbname)
            self._keep(place, generation, connection)
        return connection

    def close(self) -> None:
        with self._lock:
            for _, connection in self._open.values():
                connection.close()
            self._open.clear()

    def _keep(self, place: _Place, generation: int, connection: OwnConnection) -> None:
        with self._lock:
            for other in [one for one in self._open if one == place or not one[0].is_alive()]:
                self._open.pop(other)[1].close()
            self._open[place] = (generation, connection)


def _usable(connection: OwnConnection) -> bool:
    """Without a round trip: an idle session's socket is silent, one that the server ended has something to say."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _temporary_root() -> Path:
    """The folder for temporary folders; for root, one into which the unprivileged user can go."""
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - we make our own in it
    for path in candidates:
        if process.unprivileged() is None or _open_to_all(path):
            return path
    names = ", ".join(map(str, candidates))
    raise ServerNotReady(f"not every user may enter {names}", "set TMPDIR to a folder that they may")


def _open_to_all(path: Path) -> bool:
    return path.is_dir() and all(one.stat().st_mode & 0o001 for one in (path, *path.parents))
