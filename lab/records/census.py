"""The census: the server's own view of one plan's sessions."""

from __future__ import annotations

from msgspec import Struct

OUTLIVED = "outlived"
"""Occasion: a fault has ended the first process, and its sessions have gone, or OUTLIVE (lab/timing.py) has passed."""


class Session(Struct, frozen=True, omit_defaults=True):
    """One server process. Its identity is pid and backend start, because pids are reused.

    `state` is pg_stat_activity's. `xact`: it holds a transaction open. `locks` counts what a transaction holds,
    `advisory` the session-level advisory locks.
    """

    pid: int
    start: str
    user: str = ""
    database: str = ""
    state: str = ""
    wait: str = ""
    xact: bool = False
    locks: int = 0
    advisory: int = 0

    @property
    def id(self) -> str:
        """`pid@start`, as `lab.session()` gives it."""
        return f"{self.pid}@{self.start}"


class Census(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All sessions of the plan's own roles at one time; `at` names the occasion, `step` the step just done.

    `sockets`, once a process has forked: by the name of each that did ("" is the first), the inodes of the sockets that
    were connected to the plan's lines when it forked and that it has not closed since.
    `spoken`: those of them on which something was said since, by any process; without a name where the kernel does not
    tell.
    `connects` counts the connections that the plan's lines have accepted from the subject so far; -1: it is not known.
    """

    time: int
    at: str
    step: int = -1
    actor: str = ""
    sessions: tuple[Session, ...] = ()
    connects: int = -1
    sockets: dict[str, tuple[int, ...]] = {}
    spoken: dict[str, tuple[int, ...]] = {}


class Row(Struct, frozen=True, omit_defaults=True):
    """A token as the server holds it at the end, in the order in which it was written."""

    token: str
    xid: str
    session: str
    database: str = "lab"
