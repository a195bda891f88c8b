"""What a rig is, whatever its servers run in: processes, a network namespace or containers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.fault import Net, Server
from lab.records.words import Direction
from lab.rig.postgres.connection import OwnConnection
from lab.rig.toxiproxy.toxic import Installed, Toxic
from lab.wire.tap import TapPort


@dataclass(frozen=True)
class Seat:
    """What one plan connects as, alone: two users of the server with one password. Both may SET ROLE lab_other."""

    ordinal: int
    password: str

    @property
    def name(self) -> str:
        """The first user, e.g. "lab_s07"."""
        return f"lab_s{self.ordinal:02d}"

    @property
    def second(self) -> str:
        """The second user, e.g. "lab_s07b"."""
        return f"{self.name}b"


class ProxyProtocol(Protocol):
    """One plan's way to the server. Toxics go in before the first connection, or while all are idle, and never out."""

    toxics: tuple[Installed, ...]

    @property
    def host(self) -> str:
        """The address at which it listens."""

    @property
    def port(self) -> int:
        """Where clients connect to."""

    def add(self, toxic: Toxic, stream: Direction) -> None:
        """Put a toxic at the end of a direction's chain."""

    def arm_reset(self) -> None:
        """From the next connection on, every close is an RST to both sides."""

    def accepted(self) -> int:
        """How many connections it has taken so far; -1: it is not known."""

    def cut(self) -> None:
        """End all connections and listen again with the same toxics."""

    def refuse(self) -> None:
        """End all connections and let new ones be refused."""

    def turn_away(self) -> None:
        """End all connections, and every new one as soon as it is there."""

    def accept(self) -> None:
        """Listen again after `refuse`, with the same toxics."""

    def recreate(self, toxics: Sequence[Installed] = ()) -> None:
        """End all connections and listen again with these toxics: the way to heal."""


class ServerLog(Protocol):
    """A server's log, read piece by piece."""

    def log_offset(self) -> int:
        """The log's present end, in bytes."""

    def log_slice(self, start: int, end: int | None = None) -> str:
        """What was logged between two offsets; None: until now."""


class RigProtocol(Protocol):
    """The running servers of one lab process, entered once as a context manager.

    A plan holds `shared()` while it runs, and a `seat()` and a `proxy()` of its own; one whose faults end other
    people's connections holds `exclusive()` instead. Threads may share a rig.
    """

    @property
    def name(self) -> str:
        """What `--rig` calls it, e.g. "embedded"."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What faults may need: "proxy" (toxics), "freeze", "terminate", "restart", "crash", "slots", "password" (the
        server asks for one: not after `trust`); some rigs:
        "loss", "link" (the whole network down), "abort" (of a socket), "versions" (of PostgreSQL, at choice),
        "limits" (of processor and memory).
        """

    @property
    def lab_id(self) -> str:
        """Processes with LAB_ID=<this> in their environment end with the lab."""

    @property
    def folder(self) -> Path:
        """The lab's temporary folder: processes with their cwd in it end with the lab, and then it is removed."""

    @property
    def host(self) -> str:
        """The address at which proxies listen."""

    @property
    def server(self) -> Server:
        """PostgreSQL, as faults see it."""

    @property
    def log(self) -> ServerLog | None:
        """PostgreSQL's log; None where it cannot be read piece by piece."""

    def environ(self) -> dict[str, str]:
        """What a process must have in its environment to end with the lab."""

    def versions(self) -> dict[str, str]:
        """What runs: postgresql, toxiproxy, python."""

    def shared(self) -> AbstractContextManager[None]:
        """Run beside others."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Run alone."""

    def recover(self) -> None:
        """Replace or start again what does not answer, after a `ProxyLost` or `ServerNotReady` made a case void."""

    def seat(self) -> AbstractContextManager[Seat]:
        """A pair of users for one plan; waits while all are taken."""

    @property
    def direct(self) -> ProxyProtocol | None:
        """The way to the server without a proxy, for plans that spare it; None: there is none, so they have a proxy."""

    def proxy(self, name: str) -> AbstractContextManager[ProxyProtocol]:
        """A way to the server for one plan; `name` is unique among live plans. Gone at the end."""

    def net(
        self, ports: Collection[int], clients: Callable[[], Iterable[int]], sessions: Callable[[], Iterable[int]]
    ) -> Net:
        """The packets of the lines at `ports`; `clients` and `sessions` give the pids at its two ends.

        Raises `BadInput` when the rig is not capable of "loss".
        """

    def tap_port(self, port: int) -> TapPort:
        """A port of the wire tap in front of a proxy at `port`; use it as a context manager."""

    def freeze(self) -> None:
        """Stop the proxies' server: silence for every plan, nothing lost."""

    def thaw(self) -> None:
        """Let it run again."""

    def control(self, dbname: str = "lab") -> OwnConnection:
        """This thread's autocommit superuser connection, straight to the server. Not to be closed."""
