"""What differs between psycopg 3 and psycopg2, behind one small face: `wire`.

Both can send a statement and read its answer later. psycopg 3 says so itself; below psycopg2 it is libpq's own
functions, called on psycopg2's own connection.
"""

from __future__ import annotations

import ctypes
import select
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import is_psycopg3

Database: Any = base.DatabaseWrapper.Database
"""The driver's module, for its exceptions."""

# PQtransactionStatus: the same numbers in libpq and both drivers.
IDLE, ACTIVE, INTRANS, INERROR, UNKNOWN = range(5)
# PQresultStatus of an answer without error: an empty query, a command, rows.
FINE = (0, 1, 2)
FAREWELLS = ("FATAL", "PANIC")
"""How the text or severity of a server's last words begins."""
REPORTED = ("TimeZone", "DateStyle")
"""Parameters of the startup packet whose every change the server reports."""
LONGEST_COPY = 60.0
"""Seconds for the rest of a refused COPY where calls have no deadline."""


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE that the server has sent with an error of either driver; None where it sent none."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


class AnswerFailed(Exception):
    """The reset was answered by an error, or by something that is no answer to it."""


class Wire(Protocol):
    """One driver's ways. `conn` is its connection object."""

    def status(self, conn: Any) -> int:
        """The transaction status; UNKNOWN when the connection is bad."""

    def send(self, conn: Any, sql: bytes) -> bool:
        """Send without waiting for the answer; True when `receive` must fetch it. Raises the driver's errors."""

    def receive(self, conn: Any) -> bool:
        """Take in what has arrived; True when the answer is complete. Raises AnswerFailed or the driver's errors."""

    def listen(self, conn: Any) -> Callable[[], Sequence[str]]:
        """What tells, once `receive` is through, what the server has said unasked (see `said_farewell`).

        A farewell that came in one gulp with the answer is in libpq's hands and no longer on the socket.
        """

    def attributes(self, conn: Any) -> tuple[Any, ...]:
        """What the connection object itself remembers of a request (autocommit, isolation level, …)."""

    def settle(self, conn: Any) -> None:
        """It is set up: what is registered on it from now on is a request's."""

    def restore(self, conn: Any, attributes: tuple[Any, ...]) -> None:
        """Give it those of `attributes` back that differ. May ask the server; raises the driver's errors."""

    def reported(self, conn: Any) -> tuple[str | None, ...]:
        """What the server last said of the parameters REPORTED, without asking it."""

    def leave_copy(self, conn: Any, limit: float | None) -> None:
        """End a COPY that the driver has begun and then refused. Waits at most `limit` seconds; raises its errors."""

    def tidy(self, conn: Any) -> bool:
        """Drop the client's memory of the request; False when the connection is in a mode that cannot be kept."""

    def replay(self, conn: Any, before: tuple[Any, ...]) -> list[str]:
        """Statements by which the driver itself changed the session since its attributes were `before`."""

    def text(self, cursor: Any, sql: Any, params: Any) -> str:
        """The statement that `cursor` just executed, with its parameters in it."""

    def is_named(self, cursor: Any) -> bool:
        """Whether it lives in the server (fetching asks the server)."""

    def forget(self, cursor: Any) -> None:
        """Mark a cursor of the server closed without asking: else psycopg 3 warns where it is collected."""

    def busy(self, conn: Any) -> bool:
        """Whether a call is under way, of whatever thread."""


class Psycopg3:
    """psycopg 3, by its public `pgconn`."""

    _NAMES = (
        "autocommit",
        "isolation_level",
        "read_only",
        "deferrable",
        "cursor_factory",
        "server_cursor_factory",
        "row_factory",
        "prepare_threshold",
        "prepared_max",
        "_notice_handlers",
        "_notify_handlers",
        "adapters",
    )

    def __init__(self) -> None:
        from psycopg import ClientCursor, ServerCursor

        self._client_cursor: Any = ClientCursor
        self._server_cursor: Any = ServerCursor

    def status(self, conn: Any) -> int:
        return conn.pgconn.transaction_status  # type: ignore[no-any-return]  # an int in psycopg's C, an IntEnum else

    def send(self, conn: Any, sql: bytes) -> bool:
        pgconn = conn.pgconn
        pgconn.send_query(sql)
        # psycopg's connections do not block: a socket buffer that takes not even this is a stalled peer's.
        if pgconn.flush():
            raise AnswerFailed("the socket takes nothing more")
        return True

    def receive(self, conn: Any) -> bool:
        pgconn = conn.pgconn
        pgconn.consume_input()
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                while pgconn.notifies():  # for channels that the last request listened to
                    pass
                return True
            if result.status not in FINE:
                raise AnswerFailed(result.error_message)
        return False

    def listen(self, conn: Any) -> Callable[[], Sequence[str]]:
        heard: list[str] = []

        def note(diagnostic: Any) -> None:
            severity = diagnostic.severity_nonlocalized
            if severity in FAREWELLS:
                heard.append(severity)

        conn.add_notice_handler(note)
        return lambda: heard

    def attributes(self, conn: Any) -> tuple[Any, ...]:
        return (
            conn.autocommit,
            conn.isolation_level,
            conn.read_only,
            conn.deferrable,
            conn.cursor_factory,
            conn.server_cursor_factory,
            conn.row_factory,
            conn.prepare_threshold,
            conn.prepared_max,
            # Private: psycopg can add and remove handlers, but not list them.
            tuple(conn._notice_handlers),  # noqa: SLF001
            tuple(conn._notify_handlers),  # noqa: SLF001
            self._registered(conn.adapters),
        )

    @staticmethod
    def _registered(adapters: Any) -> tuple[Any, ...]:
        """The driver copies such a map when something is registered, so that comparing them costs next to nothing."""
        return *adapters._loaders, *adapters._dumpers.values(), *adapters._dumpers_by_oid  # noqa: SLF001

    def settle(self, conn: Any) -> None:
        type(conn.adapters)(conn.adapters)  # a copy marks its template's maps as shared: not to be changed in place

    def _unregister(self, adapters: Any, maps: tuple[Any, ...]) -> None:
        left = iter(maps)
        for own in (adapters._loaders, adapters._dumpers, adapters._dumpers_by_oid):  # noqa: SLF001
            for key in list(own) if isinstance(own, dict) else range(len(own)):
                own[key] = next(left)
        type(adapters)(adapters)

    def restore(self, conn: Any, attributes: tuple[Any, ...]) -> None:
        for name, old, new in zip(self._NAMES, attributes, self.attributes(conn), strict=True):
            if old == new:
                continue
            if name.startswith("_"):
                getattr(conn, name)[:] = old
            elif name == "adapters":
                self._unregister(conn.adapters, old)
            else:
                setattr(conn, name, old)

    def reported(self, conn: Any) -> tuple[str | None, ...]:
        status = conn.info.parameter_status
        return tuple([status(name) for name in REPORTED])

    def leave_copy(self, conn: Any, limit: float | None) -> None:
        pgconn = conn.pgconn
        until = time.monotonic() + (limit or LONGEST_COPY)
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)

        def wait() -> None:
            left = until - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise AnswerFailed("a COPY that was refused does not end")
            pgconn.consume_input()

        try:
            while (count := pgconn.get_copy_data(1)[0]) >= 0:
                if count == 0:
                    wait()
        except Database.Error:  # it was a COPY FROM STDIN
            pgconn.put_copy_end(b"the client has refused it")
            pgconn.flush()
        while True:
            while pgconn.is_busy():
                wait()
            if pgconn.get_result() is None:
                return

    def tidy(self, conn: Any) -> bool:
        # Private, all of it: psycopg has no public way to ask, nor one to forget prepared statements that DISCARD ALL
        # took away. Where a later psycopg has them no longer, getattr's default says "cannot be kept".
        if getattr(conn, "_pipeline", True) or getattr(conn, "_tpc", True) or getattr(conn, "_num_transactions", True):
            return False
        prepared = conn._prepared  # noqa: SLF001
        if prepared._counts or prepared._names:  # noqa: SLF001
            prepared.clear()
        # clear() leaves a DEALLOCATE ALL for the next statement, which the reset makes needless.
        prepared._to_flush.clear()  # noqa: SLF001
        if backlog := getattr(conn, "_notifies_backlog", None):
            backlog.clear()
        return True

    def replay(self, conn: Any, before: tuple[Any, ...]) -> list[str]:
        return []  # its isolation level travels with each BEGIN

    def text(self, cursor: Any, sql: Any, params: Any) -> str:
        return str(self._client_cursor(cursor.connection).mogrify(sql, params))

    def is_named(self, cursor: Any) -> bool:
        return isinstance(cursor, self._server_cursor)

    def forget(self, cursor: Any) -> None:
        Database.Cursor.close(cursor)  # the base class's, which is the client's half of it

    def busy(self, conn: Any) -> bool:
        return conn.lock.locked()  # type: ignore[no-any-return]


class Psycopg2:
    """psycopg2, and libpq's own functions on its connection (`pgconn_ptr`, psycopg2 2.8).

    Without them (a build whose libpq cannot be reached) the reset is an ordinary statement and costs a round trip.
    """

    _NAMES = (
        *("autocommit", "isolation_level", "readonly", "deferrable", "encoding", "cursor_factory"),
        *("string_types", "binary_types", "notices", "notifies"),
    )
    # psycopg2.extensions.ISOLATION_LEVEL_*
    _LEVELS = ("DEFAULT", "'read committed'", "'repeatable read'", "'serializable'", "'read uncommitted'")

    def __init__(self) -> None:
        self._libpq = _Libpq.beside_psycopg2()

    def status(self, conn: Any) -> int:
        # psycopg2 forgets the libpq connection on close(): asking then is an error, not UNKNOWN.
        return UNKNOWN if conn.closed else conn.get_transaction_status()

    def send(self, conn: Any, sql: bytes) -> bool:
        if self._libpq is None:
            conn.autocommit = True  # restore() undoes it; DISCARD ALL cannot run in a transaction
            with conn.cursor() as cursor:
                cursor.execute(sql)
            return False
        if not self._libpq.PQsendQuery(conn.pgconn_ptr, sql):
            raise AnswerFailed("libpq could not send")
        return True

    def receive(self, conn: Any) -> bool:
        libpq, pgconn = self._libpq, conn.pgconn_ptr
        assert libpq is not None  # else `send` said that there is nothing to receive
        if not libpq.PQconsumeInput(pgconn):
            raise AnswerFailed("the connection is lost")
        while not libpq.PQisBusy(pgconn):
            result = libpq.PQgetResult(pgconn)
            if not result:
                while notify := libpq.PQnotifies(pgconn):
                    libpq.PQfreemem(notify)
                return True
            status = libpq.PQresultStatus(result)
            libpq.PQclear(result)
            if status not in FINE:
                raise AnswerFailed(f"result status {status}")
        return False

    def listen(self, conn: Any) -> Callable[[], Sequence[str]]:
        def notices() -> Sequence[str]:
            conn.poll()  # asks libpq for what has come; else psycopg2 would list it at its next statement only
            return conn.notices  # type: ignore[no-any-return]

        return notices

    def attributes(self, conn: Any) -> tuple[Any, ...]:
        return (
            conn.autocommit,
            conn.isolation_level,
            conn.readonly,
            conn.deferrable,
            conn.encoding,
            conn.cursor_factory,
            dict(conn.string_types),
            dict(conn.binary_types),
            _The(conn.notices),
            _The(conn.notifies),
        )

    def settle(self, conn: Any) -> None:
        pass

    def reported(self, conn: Any) -> tuple[str | None, ...]:
        status = conn.get_parameter_status
        return tuple([status(name) for name in REPORTED])

    def leave_copy(self, conn: Any, limit: float | None) -> None:
        pass  # psycopg2 ends it itself

    def restore(self, conn: Any, attributes: tuple[Any, ...]) -> None:
        for name, old, new in zip(self._NAMES, attributes, self.attributes(conn), strict=True):
            if old == new:
                continue
            if name == "encoding":
                conn.set_client_encoding(old)
            elif isinstance(old, _The):
                setattr(conn, name, old.one)
            elif isinstance(old, dict):
                getattr(conn, name).clear()
                getattr(conn, name).update(old)
            else:
                setattr(conn, name, old)

    def tidy(self, conn: Any) -> bool:
        if conn.async_:
            return False
        if conn.notices:
            del conn.notices[:]
        if conn.notifies:
            del conn.notifies[:]
        # A two-phase transaction of psycopg2's own (tpc_begin): its state would outlive the reset.
        return conn.status in (1, 2)  # STATUS_READY, STATUS_BEGIN

    def replay(self, conn: Any, before: tuple[Any, ...]) -> list[str]:
        # In autocommit, changing one of these is a statement of psycopg2's own, which passes by every cursor. (Django's
        # isolation_level is set before autocommit, so it is none: psycopg2 sends it with BEGIN.)
        if not conn.autocommit:
            return []
        _, isolation_level, readonly, deferrable, *_ = before
        found = []
        if conn.isolation_level != isolation_level:
            found.append(f"SET default_transaction_isolation TO {self._LEVELS[conn.isolation_level or 0]}")
        if conn.readonly != readonly:
            found.append(f"SET default_transaction_read_only TO {_switch(conn.readonly)}")
        if conn.deferrable != deferrable:
            found.append(f"SET default_transaction_deferrable TO {_switch(conn.deferrable)}")
        return found

    def text(self, cursor: Any, sql: Any, params: Any) -> str:
        return str(cursor.query.decode())

    def is_named(self, cursor: Any) -> bool:
        return cursor.name is not None

    def forget(self, cursor: Any) -> None:
        pass  # psycopg2 collects it without a word

    def busy(self, conn: Any) -> bool:
        return self.status(conn) == ACTIVE


class _The:
    """An object that is only equal to itself, whatever it holds."""

    __slots__ = ("one",)

    def __init__(self, one: Any) -> None:
        self.one = one

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _The) and self.one is other.one

    def __hash__(self) -> int:
        return id(self.one)


def _switch(value: bool | None) -> str:
    return "DEFAULT" if value is None else "on" if value else "off"


class _Libpq:
    """The few functions of libpq that psycopg2 does not offer."""

    def __init__(self, path: str) -> None:
        # A handle of the extension module also finds what that module was linked with: the one libpq that made its
        # connections, even when psycopg 3 or another has loaded a second one.
        releasing, holding = ctypes.CDLL(path), ctypes.PyDLL(path)
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
        # CDLL lets go of the GIL: sending may block on a full socket, and the watchdog must be able to run then.
        self.PQsendQuery = _typed(releasing.PQsendQuery, number, pointer, text)
        # PyDLL keeps it: these never wait (PQgetResult only after PQisBusy said no), and are over in a microsecond.
        self.PQconsumeInput = _typed(holding.PQconsumeInput, number, pointer)
        self.PQisBusy = _typed(holding.PQisBusy, number, pointer)
        self.PQgetResult = _typed(holding.PQgetResult, pointer, pointer)
        self.PQresultStatus = _typed(holding.PQresultStatus, number, pointer)
        self.PQclear = _typed(holding.PQclear, None, pointer)
        self.PQnotifies = _typed(holding.PQnotifies, pointer, pointer)
        self.PQfreemem = _typed(holding.PQfreemem, None, pointer)

    @classmethod
    def beside_psycopg2(cls) -> _Libpq | None:
        """None where it cannot be had (a static build, PyPy)."""
        try:
            from psycopg2 import _psycopg

            return cls(_psycopg.__file__)
        except (ImportError, OSError, AttributeError):
            return None


def _typed(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function


wire: Wire = Psycopg3() if is_psycopg3 else Psycopg2()
"""That of the driver which Django chose."""
