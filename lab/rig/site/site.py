"""One plan's place in the rig: what its faults may touch, and what the run does and sees there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from lab.errors import ProxyLost, ServerNotReady
from lab.fault import Attempt, ConnectionState, Knock, Net, Server, Socket, Subject
from lab.records.census import Row, Session
from lab.records.record import LineKind
from lab.rig.machine.tcp import Talk
from lab.rig.protocol import ProxyProtocol, RigProtocol, Seat
from lab.rig.site.client_view import ClientView
from lab.rig.site.line import Line
from lab.rig.site.link import PlanLink, all_links
from lab.rig.site.server_view import ServerView
from lab.rig.site.wire import PlanWire
from lab.timing import ANSWER, CLEAR

Databases = dict[str, dict[str, Any]]
"""By alias what a project writes in DATABASES: HOST, PORT, USER, PASSWORD, NAME, OPTIONS."""


class FaultSite:
    """`lab.fault.Site` for some of a plan's lines and the sessions behind them. Used by the plan's own thread.

    `alias` limits the sessions to those of one alias; "": all of the plan's.
    """

    def __init__(
        self,
        rig: RigProtocol,
        name: str,
        lines: Mapping[str, Line],
        databases: Databases,
        view: ServerView,
        client: ClientView,
        alias: str = "",
    ) -> None:
        self._rig = rig
        self._name = name
        self._lines = dict(lines)
        self._view = view
        self._client = client
        self._alias = alias
        self._net: Net | None = None
        self.databases = databases
        self.server: Server = rig.server
        self.link = all_links([line.link for line in self._each])

    @property
    def _each(self) -> list[Line]:
        """Every line once: several aliases may share one."""
        return list({id(line): line for line in self._lines.values()}.values())

    @property
    def _first(self) -> Line:
        """The line that connections of the lab's own go through."""
        return self._lines.get("default") or self._each[0]

    def _alias_of(self, line: Line) -> str:
        """The first alias that has it."""
        return next(alias for alias, each in self._lines.items() if each is line)

    @property
    def wire(self) -> PlanWire:
        """The tap's part of the lines; only where the site was opened with it."""
        return PlanWire({self._alias_of(line): line.tap for line in self._each if line.tap is not None})

    @property
    def net(self) -> Net:
        """The packets of the lines; raises BadInput when the rig is not capable of loss."""
        if self._net is None:
            pids = lambda: [each.pid for each in self.sessions()]  # noqa: E731
            ports = [line.port for line in self._each]
            self._net = self._rig.net(ports, lambda: [self.subject.pid], pids)
        return self._net

    @property
    def subject(self) -> Subject:
        """The subject's process."""
        return self._client.subject

    @property
    def users(self) -> tuple[str, ...]:
        """The roles that these sessions log in as."""
        return tuple({where["USER"]: None for alias, where in self.databases.items() if alias in self._lines})

    def sessions(self) -> tuple[Session, ...]:
        """The census of these sessions now."""
        found = self._view.sessions()
        if not self._alias:
            return found
        where = self.databases[self._alias]
        return tuple(each for each in found if (each.user, each.database) == (where["USER"], where["NAME"]))

    def lost(self) -> int:
        """How many sessions in these databases have ended so far without a word of their client."""
        return self._view.lost({where["NAME"] for alias, where in self.databases.items() if alias in self._lines})

    def sockets(self, among: Collection[int] | None = None) -> tuple[Socket, ...]:
        """The subject's sockets to these lines, also those that have ended and that the kernel still remembers.

        On a line without a proxy, which other plans have as well, those alone that the subject has open.
        `among`: only those with these ports of their own, which an earlier look at all has shown; that costs less.
        """
        if among is None or len(self._each) > 1:
            found = [each for line in self._each for each in self._client.sockets(line.port, shared=line.shared)]
            return tuple(each for each in found if among is None or each.port in among)
        return self._client.sockets(self._each[0].port, among)

    def established(self) -> set[int]:
        """The subject's own ports of its connections to these lines that neither side has ended."""
        return {port for line in self._each for port in self._client.established(line.port, shared=line.shared)}

    def attempt(self, user: str, password: str = "") -> Attempt:
        """Try to get a session as that role through the line, with the subject's or that password, and to use it."""
        where = self._where(user)
        return self._first.attempt({**where, "PASSWORD": password} if password else where, self._name)

    def password(self, user: str) -> str:
        """What the subject's settings have for that role now."""
        return str(self._where(user)["PASSWORD"])

    def give(self, user: str, password: str) -> None:
        """Put another password into the subject's settings; it is there before the subject's next step begins."""
        aliases = [alias for alias, where in self.databases.items() if where["USER"] == user]
        for alias in aliases:
            self.databases[alias]["PASSWORD"] = password
        self.subject.give_password(aliases, password)

    def greeting(self) -> int:
        """How many bytes the server sends through the line until a new session is ready."""
        return self._first.greeting(self._where(self.users[0]), self._name)

    def witness(self) -> AbstractContextManager[Callable[[], ConnectionState]]:
        """A connection of our own through the line; yields the way to ask how it has ended."""
        return self._first.witness()

    def knock(self, timeout: float, size: int = 8) -> Knock:
        """Ask through the line on a fresh connection and wait at most `timeout` seconds."""
        return self._first.knock(timeout, size)

    def _where(self, user: str) -> dict[str, Any]:
        return next(each for each in self.databases.values() if each["USER"] == user)


class PlanSite(FaultSite):
    """All of a plan's lines and sessions, and what only its run may do: adopt, lock, count, clear."""

    def __init__(self, rig: RigProtocol, seat: Seat, lines: Mapping[str, Line], run: str) -> None:
        databases = {alias: _where(seat, alias, line) for alias, line in lines.items()}
        view = ServerView(rig, run, [seat.name, seat.second])
        super().__init__(rig, f"lab-{run}", lines, databases, view, ClientView())
        self._epoch = rig.server.epoch()
        self._restarts = rig.server.restarts
        self.environ = {"PGAPPNAME": self._name}

    def of(self, alias: str) -> FaultSite:
        """What a fault may touch that is meant for one alias: its line and its sessions; "": this whole site."""
        if not alias:
            return self
        lines = {alias: self._lines[alias]}
        return FaultSite(self._rig, self._name, lines, self.databases, self._view, self._client, alias)

    @property
    def line(self) -> LineKind:
        """By what the subject gets to the server."""
        return self._first.kind

    def adopt(self, child: Subject) -> None:
        """The subject's process runs now."""
        self._client.adopt(child)

    def connects(self) -> int:
        """How many connections the subject has made to its lines so far, however they ended; -1: it is not known."""
        counts = [line.connects() for line in self._each]
        return -1 if min(counts) < 0 else sum(counts)

    def attempts(self) -> int:
        """How many of the subject's connections are open and no session of the server's yet: it has not answered."""
        open_ = sum(each.state == "ESTABLISHED" for each in self.sockets())
        return max(open_ - len(self.sessions()), 0)

    def runnable(self) -> bool:
        """Whether a thread of the subject's would go on if the machine let it."""
        return self._client.runnable()

    def processor_ticks(self) -> int:
        """Clock ticks that the subject's processes have used so far: a step that waits uses none."""
        return self._client.processor_ticks()

    def connected(self, process: str) -> frozenset[int]:
        """The inodes of one process's sockets that are connected to the plan's lines."""
        return self._client.connected(process, self._ports())

    def talk(self, inodes: Collection[int]) -> dict[int, Talk]:
        """What has been said on these sockets so far; none where the kernel does not tell."""
        return self._client.talk(inodes)

    def _ports(self) -> set[int]:
        return {line.port for line in self._lines.values()}

    def still_open(self, process: str, inodes: Collection[int]) -> frozenset[int]:
        """Those of these sockets that the process has not closed since."""
        return self._client.still_open(process, inodes)

    def open_files(self) -> int:
        """How many more files the subject's processes have open than at the fork: at least its connections."""
        return self._client.open_files()

    def lock(self, keys: Iterable[int]) -> None:
        """Shut the gates `keys`: a session that calls `lab.gate` with one of them waits."""
        self._view.lock(keys)

    def unlock(self, key: int) -> None:
        """Open a gate."""
        self._view.unlock(key)

    def held(self) -> tuple[str, ...]:
        """The tokens that are committed now, in the order in which they were written."""
        return self._view.held()

    def rows(self) -> tuple[Row, ...]:
        """The tokens that the server holds, taken out so that the tables stay small."""
        names = {where["NAME"]: None for where in self.databases.values()}
        return tuple(row for name in names for row in self._view.rows(name))

    def xacts(self, xids: Iterable[str]) -> dict[str, str]:
        """What became of these transactions: `committed`, `aborted` or `in progress`; "" when it is forgotten."""
        return self._view.xacts(xids)

    def test_databases(self) -> AbstractContextManager[None]:
        """The plan's users may make databases; those that are left at the end are dropped, whoever is connected."""
        return self._view.test_databases()

    def clear(self, answered: Collection[str] = ()) -> None:
        """End what the plan left behind, so that it cannot disturb the next one on this seat.

        The lines of the aliases that are known to have `answered` since the heal are not asked once more. Raises
        `ProxyLost` or `ServerNotReady` when a healed line is dead or the server was restarted by others: then what the
        subject saw was not the plan's doing.
        """
        until = time.monotonic() + CLEAR.seconds
        while left := self._view.terminate():
            if time.monotonic() > until:
                raise ServerNotReady(f"sessions do not end: {', '.join(map(str, left))}")
            time.sleep(0.001)  # a process that ends makes no event that we could wait for
        if self._epoch != self.server.epoch() and self._restarts == self.server.restarts:
            raise ServerNotReady("PostgreSQL was restarted under this plan by somebody else")
        alive = [self._lines[alias] for alias in answered if alias in self._lines]
        for line in self._each:
            if line not in alive and not (knock := line.knock(ANSWER.seconds)).answered:
                raise ProxyLost(f"the plan's line does not answer after the heal ({knock.end})")


SAME_LOGIN = ("default", "same", "zoned")
"""Aliases of which the server is told the same: nothing in their connection parameters differs."""
SAME_USER = (*SAME_LOGIN, "kin")
"""Aliases that log in as the seat's first user."""
ZONED = "Pacific/Chatham"
"""The TIME_ZONE of the alias `zoned`."""


def _where(seat: Seat, alias: str, line: Line) -> dict[str, Any]:
    """Where the server is, for one alias, and what it has of its own; `same` is the equal of `default`.

    `zoned` has a time zone, which Django sets once it is connected; all others have options. `kin` has nothing else,
    `twin` the seat's second user and another role, too; the rest have that user and the second database.
    """
    role = " -c role=lab_other" if alias == "twin" else ""
    own: dict[str, Any] = {"TIME_ZONE": ZONED} if alias == "zoned" else {}
    if alias not in SAME_LOGIN:
        own = {"OPTIONS": {"options": f"-c lab.alias={alias}{role}"}}
    return {
        "HOST": line.host,
        "PORT": str(line.port),
        "USER": seat.name if alias in SAME_USER else seat.second,
        "PASSWORD": seat.password,
        "NAME": "lab" if alias in (*SAME_USER, "twin") else "lab2",
        **own,
    }


@contextmanager
def open_site(
    rig: RigProtocol,
    run: str,
    aliases: tuple[str, ...],
    *,
    wire: bool = False,
    proxy: ProxyProtocol | None = None,
    apart: bool = True,
    direct: bool = False,
) -> Iterator[PlanSite]:
    """A seat of the plan's own and a line for each alias, `default` among them; all are given back whatever happens.

    `wire`: the tap is in front of each. `proxy` is one to be used for `default` instead of one of the plan's own.
    `direct`: nothing strikes the line, so it has no proxy where the rig has such a way. Not with `wire` or `apart`.
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
                own = (rig.direct if direct else None) or proxy or stack.enter_context(rig.proxy(run))
            else:
                own = stack.enter_context(rig.proxy(f"{run}-{alias}"))
            tapped = stack.enter_context(rig.tap_port(own.port)) if wire else None
            lines[alias] = Line(PlanLink(own, rig.freeze, rig.thaw, tapped), own, tapped)
        rig.server.put_back(seat.name, seat.second)  # an earlier plan's server may have been lost before its end
        stack.callback(rig.server.put_back, seat.name, seat.second)
        yield PlanSite(rig, seat, lines, run)
