"""The sessions of one case on one server: which they are by the tap's journal, whether they are gone, their end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from lab.application import clock
from lab.application.state.libpq import ask
from lab.errors import ServerNotReady
from lab.wire.journal import Act, Event, Message, Record
from lab.wire.protocol import BACKEND_KEY
from lab.wire.remote import RemotePort
from lab.wire.tap import Upstream

GONE_WITHIN: Final = 20.0
"""Seconds in which a session must end whose connection has ended: a millisecond, unless it waits for a lock."""

_PATIENCE: Final = 2.0
"""Seconds after which a session that goes on without its client is told to end."""

COUNTS_SESSIONS: Final = 150000
"""The server version from which on its counters are exact when a session has ended."""

READY = "Z"
TERMINATE = "X"


class Server:
    """A server behind the databases of the test: the lab's own session on it, and the aliases that lead to it."""

    def __init__(self, upstream: Upstream, control: BaseDatabaseWrapper) -> None:
        self.upstream = upstream
        self.control = control
        self.aliases: list[str] = []

    def alive(self, pids: Iterable[int]) -> set[int]:
        """Those of the sessions that are still there."""
        return set(self._asked("SELECT pid FROM pg_catalog.pg_stat_activity WHERE pid = ANY ({})", pids))

    def in_transaction(self, pids: Iterable[int]) -> tuple[int, ...]:
        """Those that wait inside a transaction for their client."""
        return tuple(
            self._asked(
                "SELECT pid FROM pg_catalog.pg_stat_activity"
                " WHERE starts_with(state, 'idle in transaction') AND pid = ANY ({})",
                pids,
            )
        )

    def blocking(self, pids: Iterable[int]) -> dict[int, tuple[int, ...]]:
        """By session those that it waits for."""
        asked = "SELECT array[pid] || pg_catalog.pg_blocking_pids(pid) FROM unnest({}) AS pid"
        return {pid: tuple(others) for pid, *others in self._asked(asked, pids)}

    def terminate(self, pids: Iterable[int]) -> None:
        """End sessions; only ever those that the tap has seen begin."""
        self._asked("SELECT pg_catalog.pg_terminate_backend(pid)::int FROM unnest({}) AS pid", pids)

    def _asked(self, question: str, pids: Iterable[int]) -> list[Any]:
        """What a question about some sessions answers; straight through libpq, because each case asks several."""
        if not (known := ",".join(map(str, pids))):
            return []
        return [found for (found,) in ask(self.control, question.format(f"'{{{known}}}'::int[]"))]

    def sessions_begun(self, ours: Iterable[BaseDatabaseWrapper]) -> int:
        """How many sessions have ever begun on the test's databases; 0 where the server does not count them exactly."""
        if self.control.connection.info.server_version < COUNTS_SESSIONS:
            return 0
        for wrapper in (self.control, *ours):
            with wrapper.cursor() as cursor:  # a session that lives on hands its own beginning in when it likes
                cursor.execute("SELECT pg_catalog.pg_stat_force_next_flush()")
        names = {str(connections[alias].settings_dict["NAME"]) for alias in self.aliases}
        with self.control.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(sessions), 0)::bigint FROM pg_catalog.pg_stat_database WHERE datname = ANY(%s)",
                [list(names)],
            )
            return int(cursor.fetchone()[0])

    def wait_gone(self, pids: Iterable[int]) -> None:
        """Wait until they have ended; end those that go on without a client. Raises ServerNotReady."""
        left = set(pids)
        if not left:
            return

        def gone() -> bool:
            left.intersection_update(self.alive(left))
            return not left

        if clock.wait_until(gone, _PATIENCE):
            return
        self.terminate(left)
        if not clock.wait_until(gone, GONE_WITHIN):
            raise ServerNotReady(f"sessions {sorted(left)} of the test did not end within {GONE_WITHIN:.0f} s")


class Traffic:
    """What a journal tells of the connections of one port, as of the last `read`."""

    def __init__(self, port: RemotePort) -> None:
        self.port = port
        self._read = 0
        self.accepted: set[int] = set()
        self.ended: set[int] = set()
        """Connections whose client has said goodbye, hung up, or was cut off."""
        self.closed: set[int] = set()
        self.pids: dict[int, int] = {}
        self._idle: set[int] = set()
        """Connections whose last answer said that no transaction is open."""

    def read(self) -> Traffic:
        """Take in what has come since."""
        records = self.port.records
        for record in records[self._read :]:
            self._take(record)
        self._read = len(records)
        return self

    def _take(self, record: Record) -> None:
        number = record.connection
        if isinstance(record, Message):
            if record.type == BACKEND_KEY:
                self.pids[number] = record.pid
            elif record.type == TERMINATE:
                self.ended.add(number)
            elif record.type == READY:
                (self._idle.add if record.tx == "I" else self._idle.discard)(number)
        elif isinstance(record, Act):
            if record.pid:
                self.pids[number] = record.pid
            if record.way in ("fin", "rst"):
                self.ended.add(number)
        elif isinstance(record, Event):
            if record.event == "accept":
                self.accepted.add(number)
            elif record.event == "closed":
                self.closed.add(number)
            elif record.side == "client":
                self.ended.add(number)

    @property
    def live(self) -> set[int]:
        """The pids of connections that nobody has ended."""
        return {pid for number, pid in self.pids.items() if number not in self.ended | self.closed}

    @property
    def perhaps_open(self) -> set[int]:
        """Those of them that may be inside a transaction."""
        return {pid for number, pid in self.pids.items() if pid in self.live and number not in self._idle}

    @property
    def over(self) -> set[int]:
        """The pids of the others."""
        return set(self.pids.values()) - self.live


def settle(server: Server, seen: Traffic) -> set[int]:
    """Wait until nothing goes on any more that the caller has ended, or lost: sockets first, then sessions.

    Returns the sessions that are gone.
    """
    seen.port.journal()

    def quiet() -> bool:
        seen.read()
        return seen.ended <= seen.closed

    if not seen.port.wait_until(quiet, _PATIENCE):
        # A server that works on for a client that has gone (or waits for a lock) keeps its connection open.
        server.terminate(seen.over)
        seen.port.wait_until(quiet, GONE_WITHIN)
    over = seen.over
    server.wait_gone(over)
    return over


def sever(server: Server, seen: Traffic, gone: set[int], *, fresh: bool) -> int:
    """End every session of this port that is left, and see all of them gone; return how many there have been.

    `gone` are those that have been seen to be. `fresh`: nothing was said to a database since `settle`.
    """
    if not fresh:
        seen.port.journal()
        seen.read()
    server.terminate(seen.live)
    server.wait_gone(set(seen.pids.values()) - gone)
    return len(seen.pids)
