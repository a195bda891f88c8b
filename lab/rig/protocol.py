"""What a rig is, whatever its servers run in: processes here, containers or a network namespace later."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg

from lab.fault import Link, Server


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


class RigProtocol(Protocol):
    """The running servers of one lab process, entered once as a context manager.

    A plan holds `shared()` while it runs, and a `seat()` and a `line()` of its own; one whose faults end other
    people's connections holds `exclusive()` instead. Threads may share a rig.
    """

    @property
    def name(self) -> str:
        """What `--rig` calls it, e.g. "local"."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What faults may need: "proxy" (toxics), "freeze", "terminate", "restart", "crash", "slots"."""

    @property
    def lab_id(self) -> str:
        """Processes with LAB_ID=<this> in their environment end with the lab."""

    @property
    def folder(self) -> Path:
        """The lab's temporary folder: processes with their cwd in it end with the lab, and then it is removed."""

    @property
    def host(self) -> str:
        """The address at which lines listen."""

    @property
    def server(self) -> Server:
        """PostgreSQL, as faults see it."""

    def environ(self) -> dict[str, str]:
        """What a process must have in its environment to end with the lab."""

    def versions(self) -> dict[str, str]:
        """What runs: postgresql, toxiproxy, psycopg, python."""

    def shared(self) -> AbstractContextManager[None]:
        """Run beside others."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Run alone."""

    def recover(self) -> None:
        """Replace or start again what does not answer, after a `ProxyLost` or `ServerNotReady` made a case void."""

    def seat(self) -> AbstractContextManager[Seat]:
        """A pair of users for one plan; waits while all are taken."""

    def line(self, name: str) -> AbstractContextManager[tuple[Link, int]]:
        """One plan's way to the server and the port where it listens; gone at the end."""

    def control(self) -> psycopg.Connection[Any]:
        """This thread's autocommit superuser connection to database `lab`, straight to the server. Not to be closed."""

    def database(self, name: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        """The same to another database."""
