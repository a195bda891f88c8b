"""The ground of one judged test: its databases behind the tap, their rows saved, and one case after the other on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from logging import LogRecord
from threading import Lock
from types import TracebackType
from typing import Any

from asgiref.sync import async_to_sync
from django.core.signals import request_finished, request_started
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from lab.application import logs, pools, refusals, sessions
from lab.application.case import SERVER_ERROR, Answer, Tables
from lab.application.clients import Kept, as_browsers
from lab.application.failure import Unfit
from lab.application.redirect import Redirect, close_clients, straight, upstream_of
from lab.application.session import Session
from lab.application.sessions import Server, Traffic
from lab.application.sources import Sources
from lab.application.state import Change, Saved, hand_in, save
from lab.wire.journal import Record
from lab.wire.remote import RemotePort
from lab.wire.rule import Rule

Call = Callable[[], Any]
Invariant = Callable[..., Any]


@dataclass(frozen=True)
class Seen:
    """What an invariant that takes an argument is told of its case.

    `answer` is what the call returned, None when it raised `exception`. `served`: the caller believes that all is well.
    `rows` are the differences to the rows before, by table. `in_doubt`: the caller got an error though a COMMIT, or a
    statement that commits by itself, had left: the work may be done.
    """

    answer: Any
    exception: BaseException | None
    status: int | None
    served: bool
    rows: Tables = field(default_factory=dict)
    in_doubt: bool = False


class Ground:
    """Enter it once per test. Raises Unfit for a test or a database that must not, or cannot, be judged."""

    def __init__(
        self,
        session: Session,
        aliases: Collection[str],
        *,
        before: Call | None = None,
        ignore: Iterable[str] = (),
    ) -> None:
        self.session = session
        self.aliases = tuple(aliases)
        self.before = before
        self.ignore = frozenset(ignore)
        self.sources = Sources(session.options.root)
        self.servers: list[Server] = []
        self.saved: Saved
        self.redirect: Redirect
        self._views: dict[str, BaseDatabaseWrapper] = {}
        self._opened = 0
        """Sessions on these databases that have not gone past the tap: the lab's own, and those through it."""
        self._began = 0
        self._exit = ExitStack()

    def __enter__(self) -> Ground:
        refusals.check(self.aliases)
        with ExitStack() as stack:
            self._enter(stack)
            self._exit = stack.pop_all()
        return self

    def _enter(self, stack: ExitStack) -> None:
        controls = {alias: self._straight(alias, stack) for alias in self.aliases}
        self._sort(controls)
        close_clients(self.aliases)
        stack.enter_context(self.sources)
        self.redirect = stack.enter_context(Redirect(controls, self.sources.apart).patched())
        self._see_through()
        self.saved = save(_distinct(controls))
        stack.callback(self.saved.close)
        self._kept = Kept()
        self._began = self._counted() - self._opened

    def _see_through(self) -> None:
        """Connect once through the tap, unencrypted as it must be. Raises Unfit where a server does not take that."""
        seen = self.session.seen_through
        for server in self.servers:
            if server.upstream in seen:
                continue
            alias = server.aliases[0]
            with self.session.tap.open(server.upstream) as port:
                self.redirect.to({alias: port.port})
                wrapper = connections.create_connection(alias)
                wrapper.settings_dict = straight(alias).settings_dict
                self._opened += 1
                try:
                    wrapper.ensure_connection()
                except DatabaseError as error:
                    raise Unfit(
                        f"the server of alias {alias!r} does not take the unencrypted connection that a cut needs: "
                        f"{_first_line(str(error))}",
                        "allow it in pg_hba.conf (host in place of hostssl), or use --lab-postgres",
                    ) from None
                finally:
                    wrapper.close()
                    self.redirect.to({})
            seen.add(server.upstream)

    def _straight(self, alias: str, stack: ExitStack) -> BaseDatabaseWrapper:
        wrapper = straight(alias)
        self.sources.apart.add(id(wrapper))
        wrapper.ensure_connection()
        self._opened += 1
        stack.callback(wrapper.close)
        return wrapper

    def _sort(self, controls: dict[str, BaseDatabaseWrapper]) -> None:
        by_upstream: dict[Any, Server] = {}
        for alias, control in controls.items():
            upstream = upstream_of(control)
            server = by_upstream.setdefault(upstream, Server(upstream, control))
            server.aliases.append(alias)
        self.servers = list(by_upstream.values())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit.close()

    def past(self) -> int:
        """How many sessions have begun on these databases that did not come through the tap: nothing has cut them."""
        return max(0, self._counted() - self._began - self._opened)

    def tapped(self, sessions: int) -> None:
        """So many more have come through it."""
        self._opened += sessions

    def _counted(self) -> int:
        return sum(server.sessions_begun(self._views.values()) for server in self.servers)

    @contextmanager
    def case(
        self,
        rules: Sequence[Rule] = (),
        *,
        on: str | None = None,
        push: bool = False,
        sink: Callable[[int, Record], None] | None = None,
        warm: bool = True,
    ) -> Iterator[Case]:
        """One case on a fresh port per server, with rules on the server of the alias `on` (default: on every one).

        `sink` is told each record with its server's number, as TapProcess.open says. `warm`: this thread begins with
        open connections where the project keeps them. Whatever happened in it, nothing is left when it is over.
        """
        if self.before is not None:
            self.before()
        tap = self.session.tap
        with ExitStack() as stack:
            ports: list[RemotePort] = []
            for number, server in enumerate(self.servers):
                armed = rules if on is None or on in server.aliases else ()
                told = partial(sink, number) if sink is not None else None
                ports.append(stack.enter_context(tap.open(server.upstream, armed, push=push, sink=told)))
            self.redirect.to(
                {alias: port.port for server, port in zip(self.servers, ports, strict=True) for alias in server.aliases}
            )
            self.sources.clear()
            records = stack.enter_context(logs.kept())
            stack.enter_context(as_browsers())
            case = Case(self, ports, records)
            try:
                if warm:
                    case.warm()
                yield case
            finally:
                case.sever()
                self.redirect.to({})
                self.saved.restore(looked=case.looked)
                self._kept.restore()

    @contextmanager
    def straightened(self) -> Iterator[None]:
        """This thread's connections are the lab's own for a while: for what must not go through the tap."""
        before = {alias: connections[alias] for alias in self.aliases}
        for alias in self.aliases:
            if alias not in self._views:
                self._views[alias] = self._straight(alias, self._exit)
            connections[alias] = self._views[alias]
        try:
            yield
        finally:
            for alias, wrapper in before.items():
                connections[alias] = wrapper
                hand_in(self._views[alias])
                if self._views[alias].in_atomic_block or self._views[alias].connection is None:
                    del self._views[alias]  # the next one finds a sound one


class Case:
    """One run of the call, or of several: see `Ground.case`."""

    def __init__(self, ground: Ground, ports: Sequence[RemotePort], records: list[LogRecord]) -> None:
        self.ground = ground
        self.ports = ports
        self.logs = records
        self.looked = False
        """Whether nobody has written since the rows were looked at."""
        self._severed = False
        self._settled_at = -1
        """How many calls of the database layer there had been when all was quiet, -1 before."""
        self._filling = Lock()
        self._traffic = [Traffic(port) for port in ports]
        self._gone: dict[int, set[int]] = {}

    @property
    def port(self) -> RemotePort:
        """The port of the first server."""
        return self.ports[0]

    def warm(self) -> None:
        """Open this thread's connections where CONN_MAX_AGE keeps them from one request to the next, and fill pools."""
        for server, port in zip(self.ground.servers, self.ports, strict=True):
            for alias in server.aliases:
                settings = connections[alias].settings_dict
                if settings.get("OPTIONS", {}).get("pool"):
                    with self._filling:  # all threads have the same pool
                        pools.fill(connections[alias], port)
                elif settings.get("CONN_MAX_AGE", 0) != 0:
                    connections[alias].ensure_connection()

    def call(self, call: Call) -> Answer:
        """Run it in this thread; whatever comes is an answer."""
        self.looked = False
        try:
            value = _result(call)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the caller's error is what is asked for
            return self._error(error)
        status = getattr(value, "status_code", None)
        if not isinstance(status, int):
            return Answer(value=value)
        raised = getattr(value, "exc_info", None) if status >= SERVER_ERROR else None
        if not raised:
            return Answer(status=status, value=value)
        return Answer(
            status=status, error=_one_line(raised[1]), place=self.ground.sources.place_of(raised[2]), value=value
        )

    def _error(self, error: BaseException) -> Answer:
        place = self.ground.sources.place_of(error.__traceback__)
        return Answer(error=_one_line(error), raised=True, place=place, exception=error)

    def settle(self) -> None:
        """Wait until the server has done with everything that the caller has ended or lost."""
        self._settled_at = len(self.ground.sources.notes)
        for server, seen in zip(self.ground.servers, self._traffic, strict=True):
            self._gone[seen.port.port] = sessions.settle(server, seen)

    def left_open(self) -> int:
        """How many sessions of the case wait inside a transaction, as far as the journal has been read."""
        return sum(
            len(server.in_transaction(seen.read().perhaps_open))
            for server, seen in zip(self.ground.servers, self._traffic, strict=True)
        )

    def probe(self) -> str:
        """What the next request on this thread's connections gets: "" or its error."""
        sent = request_started.send_robust(sender=Case, environ={})
        problems = [result for _, result in sent if isinstance(result, DatabaseError | InterfaceError)]
        try:
            if problems:
                raise problems[0]
            for alias in self.ground.aliases:
                wrapper = connections[alias]
                # A wrapper without a connection begins anew, as the next process would.
                if wrapper.connection is not None or wrapper.settings_dict.get("OPTIONS", {}).get("pool"):
                    with wrapper.cursor() as cursor:
                        cursor.execute("SELECT 1")
        except Exception as error:  # noqa: BLE001  # whatever the next request gets is the answer
            return _one_line(error)
        finally:
            request_finished.send_robust(sender=Case)
        return ""

    def sever(self) -> None:
        """End what is left of the case's sessions: from here on the server's counters are exact."""
        if self._severed:
            return
        self._severed = True
        fresh = len(self.ground.sources.notes) == self._settled_at and all(
            connections[alias].connection is None
            and not connections[alias].settings_dict.get("OPTIONS", {}).get("pool")
            for alias in self.ground.aliases
        )
        close_clients(self.ground.aliases)
        for server, seen in zip(self.ground.servers, self._traffic, strict=True):
            gone = self._gone.get(seen.port.port, set())
            self.ground.tapped(sessions.sever(server, seen, gone, fresh=fresh))

    def changes(self) -> dict[str, Change]:
        """The differences to the saved rows, by table, without the tables to be ignored."""
        found = self.ground.saved.changes(everything=not self._severed)
        self.looked = self._severed
        return {name: change for name, change in found.items() if name not in self.ground.ignore}

    def tally(self) -> Tables:
        """The same as numbers."""
        return {name: change.rows for name, change in self.changes().items()}

    def check(self, invariant: Invariant | None, seen: Seen) -> str:
        """What the invariant says against it, "" when it holds. It sees the database straight."""
        if invariant is None:
            return ""
        self.looked = False
        with self.ground.straightened():
            try:
                takes = _takes_argument(invariant)
                _result(lambda: invariant(seen) if takes else invariant())
            except AssertionError as error:
                return _first_line(str(error)) or "the invariant does not hold"
            except Exception as error:  # noqa: BLE001  # an invariant that cannot be asked does not hold
                return _one_line(error)
        return ""


def _result(call: Call) -> Any:
    value = call()
    if inspect.isawaitable(value):
        return async_to_sync(_awaited)(value)
    if getattr(value, "streaming", False) and not getattr(value, "is_async", False):
        value.getvalue()  # a request is over when its answer has been read
    return value


async def _awaited(value: Any) -> Any:
    return await value


def _takes_argument(invariant: Invariant) -> bool:
    try:
        parameters = inspect.signature(invariant).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in positional and each.default is each.empty for each in parameters)


def _one_line(error: BaseException) -> str:
    text = _first_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _distinct(controls: dict[str, BaseDatabaseWrapper]) -> dict[str, BaseDatabaseWrapper]:
    """One wrapper for each database: a mirror is another alias of one."""
    found: dict[Any, tuple[str, BaseDatabaseWrapper]] = {}
    for alias, control in controls.items():
        found.setdefault((upstream_of(control), control.settings_dict["NAME"]), (alias, control))
    if not found:
        raise Unfit("this test has no database", "mark it with django_db")
    return dict(found.values())
