"""Django's cursor wrappers, which must not reach a session that their request has given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.backends.postgresql.base import CursorDebugWrapper
from django.db.backends.utils import CursorWrapper
from django.db.utils import InterfaceError

from backend_under_test.persistent_core.copying import Copies
from backend_under_test.persistent_core.outside import here
from backend_under_test.persistent_core.wire import Database, sqlstate, wire

if TYPE_CHECKING:
    from backend_under_test.persistent_core.wrapper import PersistentWrapper

    class _Base(CursorWrapper):
        """With what Django's stubs leave out."""

        WRAP_ERROR_ATTRS: frozenset[str]

        def _execute(self, sql: Any, params: Any, *ignored_wrapper_args: Any) -> Any: ...
        def _executemany(self, sql: Any, param_list: Any, *ignored_wrapper_args: Any) -> Any: ...
else:
    _Base = object


class _Leased(_Base):
    """Valid for the lease (connect to close) in which it was made.

    The driver's connection object outlives close(), so a cursor of an earlier request would still work, on a session
    that serves another request by then.
    """

    db: PersistentWrapper

    def __init__(self, cursor: Any, db: PersistentWrapper) -> None:
        self.cursor = cursor
        self.db = db
        self.lease = db.lease

    def _execute(self, sql: Any, params: Any, *ignored_wrapper_args: Any) -> Any:
        db = self.db
        if self.lease != db.lease:
            self.refuse()
        if not apps.ready:
            return super()._execute(sql, params, *ignored_wrapper_args)  # which warns, in some versions
        # The rest of CursorWrapper._execute, without a second call: every statement comes through here.
        db.validate_no_broken_transaction()
        if not here.in_request:
            db.note(sql)
        with db.wrap_database_errors:
            return self.cursor.execute(sql) if params is None else self.cursor.execute(sql, params)

    def _executemany(self, sql: Any, param_list: Any, *ignored_wrapper_args: Any) -> Any:
        if self.lease != self.db.lease:
            self.refuse()
        if not here.in_request:
            self.db.note(sql)
        return super()._executemany(sql, param_list, *ignored_wrapper_args)

    def callproc(self, procname: Any, params: Any = None, kparams: Any = None) -> Any:
        """As CursorWrapper's."""
        if self.lease != self.db.lease:
            self.refuse()
        if not here.in_request:
            self.db.note(None)  # what a procedure leaves is not known
        return super().callproc(procname, params, kparams)

    def close(self) -> None:
        """Close the cursor. No-op after its lease, because the reset has closed what the cursor had in the server."""
        if self.lease == self.db.lease:
            self.cursor.close()

    def refuse(self) -> None:
        """Raise InterfaceError: its lease is over."""
        raise InterfaceError("This cursor belongs to a session that was closed. Ask for a new one: connection.cursor()")


class _LeasedClient(Copies, _Leased):
    """A cursor of the client: fetching only hands out rows that have arrived, and needs no deadline.

    Its fetching methods are written out. Django's __getattr__ makes a wrapper for each call, and the ORM fetches twice
    for each of its queries.
    """

    def fetchone(self) -> Any:
        """The driver's, with Django's errors."""
        try:
            return self.cursor.fetchone()
        except Database.Error:
            with self.db.unguarded_errors:
                raise

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """The driver's, with Django's errors."""
        try:
            return self.cursor.fetchmany(*args, **kwargs)
        except Database.Error:
            with self.db.unguarded_errors:
                raise

    def fetchall(self) -> Any:
        """The driver's, with Django's errors."""
        try:
            return self.cursor.fetchall()
        except Database.Error:
            with self.db.unguarded_errors:
                raise

    def __getattr__(self, attr: str) -> Any:
        value = getattr(self.cursor, attr)
        return self.db.unguarded_errors(value) if attr in self.WRAP_ERROR_ATTRS else value

    def __iter__(self) -> Iterator[Any]:
        # Django holds the error wrapper open around the caller's loop; here it would keep a deadline running while the
        # caller works on rows that arrived long ago.
        with self.db.unguarded_errors:
            yield from self.cursor


ENDED = ("34000", "25P02")
"""SQLSTATEs of CLOSE after which there is no such cursor: it was never made, or its transaction has failed."""
CLOSED = -1
"""The lease of a cursor that is closed: no session's."""


class _LeasedNamed(_Leased):
    """A cursor of the server: every fetch asks the server."""

    def __init__(self, cursor: Any, db: PersistentWrapper) -> None:
        super().__init__(cursor, db)
        self.session = db.session

    def __getattr__(self, attr: str) -> Any:
        if self.lease != self.db.lease:
            self.refuse()
        value = getattr(self.cursor, attr)
        return self.db.wrap_database_errors(value) if attr in self.WRAP_ERROR_ATTRS else value

    def __iter__(self) -> Iterator[Any]:
        rows = iter(self.cursor)
        while True:
            if self.lease != self.db.lease:
                self.refuse()
            with self.db.wrap_database_errors:
                try:
                    row = next(rows)
                except StopIteration:
                    return
            yield row

    def close(self) -> None:
        """Close it. What has ended it already raised an error of its own, which the one of CLOSE would hide.

        A generator that nobody closes is collected anywhere: by the event loop's thread, or within another call. There
        CLOSE must neither wait for the connection nor touch the deadline of what runs on it: the session's next call
        sends it.
        """
        session = self.session
        if self.lease != self.db.lease:
            wire.forget(self.cursor)
            return
        if session is not None and (not session.in_own_thread() or session.at_work()):
            self.lease = CLOSED
            wire.forget(self.cursor)
            session.left.append(self.cursor.name)
            return
        try:
            with self.db.deadline_armed():
                self.cursor.close()
        except Database.Error as error:
            if sqlstate(error) not in ENDED and not self.db.lost():
                raise


class LeasedCursor(_LeasedClient, CursorWrapper):
    """CursorWrapper, with a lease."""

    def execute(self, sql: Any, params: Any = None) -> Any:
        """As CursorWrapper's. Without execute_wrappers its detour through them is left out."""
        if self.db.execute_wrappers:
            return super().execute(sql, params)
        return self._execute(sql, params)


class LeasedNamedCursor(_LeasedNamed, CursorWrapper):
    """CursorWrapper for a server-side cursor, with a lease."""


class LeasedDebugCursor(_LeasedClient, CursorDebugWrapper):
    """CursorDebugWrapper (queries are logged, as with DEBUG), with a lease."""


class LeasedNamedDebugCursor(_LeasedNamed, CursorDebugWrapper):
    """CursorDebugWrapper for a server-side cursor, with a lease."""
