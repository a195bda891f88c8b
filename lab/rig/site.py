"""One plan's place in the rig: its seat, its line to the server, and what can be seen of it from outside."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg

from lab.errors import ProxyLost, ServerNotReady
from lab.fault import End, Knock, Link, Server, Socket, Subject
from lab.records.census import Row, Session
from lab.rig import tcp
from lab.rig.link import PlanLink
from lab.rig.protocol import RigProtocol, Seat

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""The shortest question to a PostgreSQL server; the answer is one byte, and no session is made."""

WITNESS_TIMEOUT = 0.3  # seconds; a line on which there is silence carries a witness all the same
ANSWER_DEADLINE = 3.0  # seconds for the healed line to answer at the end of a plan
CLEAR_DEADLINE = 5.0  # seconds for terminated leftovers to vanish

CENSUS = """
SELECT a.pid, extract(epoch FROM a.backend_start)::numeric(20, 6)::text, a.usename, a.datname, coalesce(a.state, ''),
       coalesce(a.wait_event_type || ':' || a.wait_event, ''), a.xact_start IS NOT NULL,
       count(l.pid) FILTER (WHERE l.locktype NOT IN ('virtualxid', 'advisory')),
       count(l.pid) FILTER (WHERE l.locktype = 'advisory' AND l.granted)
FROM pg_stat_activity a LEFT JOIN pg_locks l USING (pid)
WHERE a.usename = ANY(%s) AND a.pid <> pg_backend_pid()
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 2, 1
"""

TAKE_ROWS = """
WITH gone AS (DELETE FROM lab.token WHERE plan = %s RETURNING id, token, xid::text, session)
SELECT token, xid, session FROM gone ORDER BY id
"""


class Waiter(Protocol):
    """A step that has not returned."""

    since: float
    where: str
    session: str
    extra: dict[str, Any]


class PlanSite:
    """All that a plan and its faults may touch or look at. Used by the plan's own thread."""

    def __init__(self, rig: RigProtocol, seat: Seat, link: Link, port: int, run: str, aliases: tuple[str, ...]) -> None:
        self._rig = rig
        self._seat = seat
        self._port = port
        self._run = run
        self._users = [seat.name, seat.second]
        self._child: Subject | None = None
        self._epoch = rig.server.epoch()
        self._restarts = rig.server.restarts
        self.link = link
        self.server: Server = rig.server
        self.environ = {"PGAPPNAME": f"lab-{run}"}
        self.databases = {alias: self._where(alias) for alias in aliases}

    def _where(self, alias: str) -> dict[str, Any]:
        """Where the server is, for one alias: all but `default` use the seat's second user and the second database."""
        first = alias == "default"
        return {
            "HOST": self._rig.host,
            "PORT": str(self._port),
            "USER": self._seat.name if first else self._seat.second,
            "PASSWORD": self._seat.password,
            "NAME": "lab" if first else "lab2",
        }

    def adopt(self, child: Subject) -> None:
        """The subject's process runs now."""
        self._child = child

    @property
    def subject(self) -> Subject:
        """The subject's process."""
        if self._child is None:
            raise RuntimeError("the subject has not been forked yet")
        return self._child

    # -- the server's view ------------------------------------------------------------------------------------------

    def _query(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        try:
            return self._rig.control().execute(sql, params).fetchall()
        except psycopg.Error as error:
            raise ServerNotReady(f"the lab's own connection to PostgreSQL failed: {error}") from None

    def sessions(self) -> tuple[Session, ...]:
        """The census of this plan's sessions now."""
        return tuple(Session(*row) for row in self._query(CENSUS, self._users))

    def waits(self, others: Mapping[str, Waiter], me: Waiter, grace: float) -> str:
        """Where a step waits: `server` (for a lock there), `client` (after `grace` seconds of doing nothing), or ""."""
        sessions = self.sessions()
        taken = {other.session for other in others.values() if other is not me and other.where == "server"}
        for session in sessions:
            if session.wait.startswith("Lock:") and session.id not in taken:
                me.session = session.id
                return "server"
        before, now = me.extra.get("cpu"), self._cpu()
        me.extra["cpu"] = now
        waited = time.monotonic() - me.since
        busy = any(session.state == "active" and session.id not in taken for session in sessions)
        return "client" if waited > grace * (4 if busy else 1) and now == before else ""

    def still_waits(self, session: str) -> bool:
        """Whether that session waits for a lock."""
        return any(each.id == session and each.wait.startswith("Lock:") for each in self.sessions())

    def _cpu(self) -> int:
        """Clock ticks that the subject has used so far: a step that waits uses none."""
        try:
            fields = Path(f"/proc/{self.subject.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return -1
        return int(fields[11]) + int(fields[12])

    def lock(self, keys: Iterable[int]) -> None:
        """Shut the gates `keys`: whoever calls `lab.gate` with one of them waits."""
        for key in keys:
            self._query("SELECT pg_advisory_lock(%s)", key)

    def unlock(self, key: int) -> None:
        """Open a gate; a restart of the server has opened it already."""
        try:
            self._rig.control().execute("SELECT pg_advisory_unlock(%s)", (key,))
        except (psycopg.Error, ServerNotReady):
            return

    def clear(self) -> None:
        """End what the plan left behind, so that it cannot disturb the next one on this seat.

        Raises `ProxyLost` or `ServerNotReady` when the healed line is dead or the server was restarted by others:
        then what the subject saw was not the plan's doing.
        """
        self._query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY(%s)", self._users)
        until = time.monotonic() + CLEAR_DEADLINE
        while left := self.sessions():
            if time.monotonic() > until:
                raise ServerNotReady(f"sessions do not end: {', '.join(session.id for session in left)}")
            time.sleep(0.001)  # a process that ends makes no event that we could wait for
        if self._epoch != self.server.epoch() and self._restarts == self.server.restarts:
            raise ServerNotReady("PostgreSQL was restarted under this plan by somebody else")
        if not (knock := self.knock(ANSWER_DEADLINE)).answered:
            raise ProxyLost(f"the plan's line does not answer after the heal ({knock.end})")

    def held(self) -> tuple[str, ...]:
        """The tokens that are committed now, in the order in which they were written."""
        return tuple(
            row[0] for row in self._query("SELECT token FROM lab.token WHERE plan = %s ORDER BY id", self._run)
        )

    def rows(self) -> tuple[Row, ...]:
        """The tokens that the server holds, taken out so that the table stays small."""
        rows: list[Row] = []
        for name in {where["NAME"]: None for where in self.databases.values()}:
            found = self._rig.control(name).execute(TAKE_ROWS, (self._run,)).fetchall()
            rows += [Row(token, xid, session, name) for token, xid, session in found]
        return tuple(rows)

    # -- the client's view ------------------------------------------------------------------------------------------

    def sockets(self) -> tuple[Socket, ...]:
        """The subject's sockets to this plan's line, from the kernel's table in the subject's network namespace."""
        return tcp.clients(self.subject.pid, self._port)

    @contextmanager
    def witness(self) -> Iterator[Callable[[], End]]:
        """A connection of our own through the line; yields the way to ask how it has ended."""
        try:
            connection = socket.create_connection((self._rig.host, self._port), WITNESS_TIMEOUT)
        except OSError:
            yield lambda: "refused"
            return
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
        end: End = "open"
        try:
            with socket.create_connection((self._rig.host, self._port), timeout) as connection:
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
        except TimeoutError:
            pass
        return Knock(seconds or time.monotonic() - begun, count, end)


def _end(connection: socket.socket) -> End:
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


@contextmanager
def open_site(rig: RigProtocol, run: str, aliases: tuple[str, ...]) -> Iterator[PlanSite]:
    """A seat and a line of the plan's own; both are given back whatever happens."""
    with rig.seat() as seat, rig.proxy(run) as proxy:
        yield PlanSite(rig, seat, PlanLink(proxy, rig.freeze, rig.thaw), proxy.port, run, aliases)
