"""One plan's place in the rig: its seat, its line to the server, and what can be seen of it from outside."""

from __future__ import annotations

import copy
import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg

from lab.errors import ProxyLost, ServerNotReady
from lab.fault import Attempt, End, Knock, Net, Server, Socket, Subject
from lab.records.census import Row, Session
from lab.rig.machine import tcp
from lab.rig.protocol import ProxyProtocol, RigProtocol, Seat
from lab.rig.site.link import PlanLink, all_links
from lab.rig.site.wire import PlanWire
from lab.wire.tap import TapPort

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""The shortest question to a PostgreSQL server; the answer is one byte, and no session is made."""

WITNESS_TIMEOUT = 0.3  # seconds; a line on which there is silence carries a witness all the same
TCP_INFO_SIZE, TCP_BYTES_RECEIVED_AT = 136, 128
TCP_BYTES_RECEIVED = struct.Struct("=Q")
"""Of the kernel's `struct tcp_info`: tcpi_bytes_received."""

UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH)

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

XACTS = "SELECT x, pg_xact_status(x::xid8) FROM unnest(%s::text[]) AS x"


class Waiter(Protocol):
    """A step that has not returned."""

    since: float
    where: str
    session: str
    extra: dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One alias's own way to the server, with the wire tap in front where the plan wants it."""

    link: PlanLink
    proxy: ProxyProtocol
    tap: TapPort | None = None

    @property
    def host(self) -> str:
        """Where the subject connects to: the tap is on loopback, wherever the proxy is."""
        return self.proxy.host if self.tap is None else str(self.tap.host)

    @property
    def port(self) -> int:
        """Where the subject connects to for this alias."""
        return self.proxy.port if self.tap is None else self.tap.port

    def accepted(self) -> int:
        """How many connections it has taken so far; -1: it is not known."""
        return self.proxy.accepted() if self.tap is None else self.tap.accepted


class PlanSite:
    """All that a plan and its faults may touch or look at. Used by the plan's own thread."""

    def __init__(self, rig: RigProtocol, seat: Seat, lines: Mapping[str, Line], run: str) -> None:
        self._rig = rig
        self._seat = seat
        self._lines = dict(lines)
        self._host, self._port = lines["default"].host, lines["default"].port
        self._run = run
        self._users = [seat.name, seat.second]
        self._alias = ""
        self._ours: list[None] = []  # one for each connection of our own; shared by all views of the site
        self._child: Subject | None = None
        self._net: Net | None = None
        self._epoch = rig.server.epoch()
        self._restarts = rig.server.restarts
        self.link = all_links([line.link for line in self._each])
        self.server: Server = rig.server
        self.environ = {"PGAPPNAME": f"lab-{run}"}
        self.databases = {alias: self._where(alias) for alias in lines}

    def _where(self, alias: str) -> dict[str, Any]:
        """Where the server is, for one alias: all but `default` have options of their own.

        `kin` has nothing else of its own, `twin` the seat's second user and another role, too; all others have that
        user and the second database.
        """
        role = " -c role=lab_other" if alias == "twin" else ""
        own: dict[str, Any] = {"OPTIONS": {"options": f"-c lab.alias={alias}{role}"}} if alias != "default" else {}
        return {
            "HOST": self._lines[alias].host,
            "PORT": str(self._lines[alias].port),
            "USER": self._seat.name if alias in ("default", "kin") else self._seat.second,
            "PASSWORD": self._seat.password,
            "NAME": "lab" if alias in ("default", "kin", "twin") else "lab2",
            **own,
        }

    def of(self, alias: str) -> PlanSite:
        """What a fault may touch that is meant for one alias: its line and its sessions; "": this whole site."""
        if not alias:
            return self
        view = copy.copy(self)
        line = self._lines[alias]
        where = {"_lines": {alias: line}, "_host": line.host, "_port": line.port}
        vars(view).update(where, _alias=alias, link=line.link, _net=None)
        return view

    @property
    def _each(self) -> list[Line]:
        """Every line once: several aliases may share one."""
        return list({id(line): line for line in self._lines.values()}.values())

    def _alias_of(self, line: Line) -> str:
        """The first alias that has it."""
        return next(alias for alias, each in self._lines.items() if each is line)

    @property
    def wire(self) -> PlanWire:
        """The tap's part of the line; only where the site was opened with it."""
        return PlanWire({self._alias_of(line): line.tap for line in self._each if line.tap is not None})

    @property
    def net(self) -> Net:
        """The packets of the line; raises BadInput when the rig is not capable of loss."""
        if self._net is None:
            pids = lambda: [each.pid for each in self.sessions()]  # noqa: E731
            ports = [line.port for line in self._each]
            self._net = self._rig.net(ports, lambda: [self.subject.pid], pids)
        return self._net

    def adopt(self, child: Subject) -> None:
        """The subject's process runs now."""
        self._child = child

    @property
    def subject(self) -> Subject:
        """The subject's process."""
        if self._child is None:
            raise RuntimeError("the subject has not been forked yet")
        return self._child

    @property
    def users(self) -> tuple[str, ...]:
        """The roles that this plan's sessions log in as."""
        return tuple({where["USER"]: None for alias, where in self.databases.items() if alias in self._lines})

    def attempt(self, user: str) -> Attempt:
        """Try to get a session as that role through the line, with the subject's password, and to ask it something."""
        try:
            connection = self._connect(user)
        except psycopg.OperationalError as refusal:
            return "refused" if "password authentication failed" in str(refusal) else "unreachable"
        with suppress(psycopg.Error), connection:
            connection.execute("SELECT 1")
            return "served"
        return "cut"

    def greeting(self) -> int:
        """How many bytes the server sends through the line until a new session is ready."""
        with self._connect(self.users[0]) as connection, socket.socket(fileno=os.dup(connection.fileno())) as line:
            info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
            return int(TCP_BYTES_RECEIVED.unpack_from(info, TCP_BYTES_RECEIVED_AT)[0])

    def _connect(self, user: str) -> psycopg.Connection[Any]:
        """A session of our own, with the parameters that the subject's have."""
        where = next(each for each in self.databases.values() if each["USER"] == user)
        self._ours.append(None)
        return psycopg.connect(
            host=self._host,
            port=self._port,
            user=user,
            password=where["PASSWORD"],
            dbname=where["NAME"],
            application_name=self.environ["PGAPPNAME"],
            client_encoding="UTF8",
            connect_timeout=3,
            sslmode="disable",
            gssencmode="disable",
            autocommit=True,
        )

    # -- the server's view ------------------------------------------------------------------------------------------

    def _query(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        try:
            return self._rig.control().execute(sql, params).fetchall()
        except psycopg.Error as error:
            raise ServerNotReady(f"the lab's own connection to PostgreSQL failed: {error}") from None

    def sessions(self) -> tuple[Session, ...]:
        """The census of this plan's sessions now."""
        found = tuple(Session(*row) for row in self._query(CENSUS, self._users))
        if not self._alias:
            return found
        where = self.databases[self._alias]
        return tuple(each for each in found if (each.user, each.database) == (where["USER"], where["NAME"]))

    def connects(self) -> int:
        """How many connections the subject has made to its lines so far, however they ended; -1: it is not known."""
        counts = [line.accepted() for line in self._each]
        return -1 if min(counts) < 0 else sum(counts) - len(self._ours)

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
        """Clock ticks that the subject's processes have used so far: a step that waits uses none."""
        ticks = 0
        for pid in self.subject.pids:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks

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
        for alias in self._lines:
            if not (knock := self.of(alias).knock(ANSWER_DEADLINE)).answered:
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

    def xacts(self, xids: Iterable[str]) -> dict[str, str]:
        """What became of these transactions: `committed`, `aborted` or `in progress`; "" when it is forgotten."""
        asked = list(xids)
        return {xid: status or "" for xid, status in self._query(XACTS, asked)} if asked else {}

    # -- the client's view ------------------------------------------------------------------------------------------

    def open_files(self) -> int:
        """How many more files the subject's processes have open than when they were forked: at least its connections.

        A look at a folder, where the kernel's table of connections takes ten times as long.
        """
        number = 0
        for pid in self.subject.pids:
            with suppress(OSError):
                number += len(os.listdir(f"/proc/{pid}/fd")) - self.subject.files
        return number

    def sockets(self) -> tuple[Socket, ...]:
        """The subject's sockets to this plan's line, from the kernel's table in the subject's network namespace."""
        return tuple(each for line in self._each for each in tcp.clients(self.subject.pid, line.port))

    @contextmanager
    def witness(self) -> Iterator[Callable[[], End]]:
        """A connection of our own through the line; yields the way to ask how it has ended."""
        try:
            connection = socket.create_connection((self._host, self._port), WITNESS_TIMEOUT)
        except OSError:
            yield lambda: "refused"
            return
        self._ours.append(None)
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
            with socket.create_connection((self._host, self._port), timeout) as connection:
                self._ours.append(None)
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
        except OSError as error:
            # No answer, be it that nothing comes back or that, after a while, the kernel gives the way up.
            if not isinstance(error, TimeoutError) and error.errno not in UNREACHABLE:
                raise
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
def open_site(
    rig: RigProtocol,
    run: str,
    aliases: tuple[str, ...],
    *,
    wire: bool = False,
    proxy: ProxyProtocol | None = None,
    apart: bool = True,
) -> Iterator[PlanSite]:
    """A seat of the plan's own and a line for each alias, `default` among them; all are given back whatever happens.

    `wire`: the tap is in front of each. `proxy` is one to be used for `default` instead of one of the plan's own.
    Unless they must be `apart`, because faults are meant for one of them, all aliases have one line: HOST and PORT do
    not tell them apart then, and a variant that keeps its sessions by these alone is found out.
    """
    with ExitStack() as stack:
        seat = stack.enter_context(rig.seat())
        lines: dict[str, Line] = {}
        for alias in aliases:
            if alias != "default" and not apart:
                lines[alias] = lines["default"]
                continue
            if alias == "default":
                own = proxy or stack.enter_context(rig.proxy(run))
            else:
                own = stack.enter_context(rig.proxy(f"{run}-{alias}"))
            tapped = stack.enter_context(rig.tap_port(own.port)) if wire else None
            lines[alias] = Line(PlanLink(own, rig.freeze, rig.thaw, tapped), own, tapped)
        yield PlanSite(rig, seat, lines, run)
