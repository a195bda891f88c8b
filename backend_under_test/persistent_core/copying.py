"""COPY and streamed results by each driver's own methods, with a deadline on each wait.

Their errors stay the driver's own, as they are with Django's cursor.
The methods are those that the driver has, and no others: applications ask by hasattr() which driver there is.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.utils import InterfaceError

if TYPE_CHECKING:
    from backend_under_test.persistent_core.wrapper import PersistentWrapper


class _Cursor:
    """What a cursor with a lease has."""

    cursor: Any
    db: PersistentWrapper
    lease: int

    if TYPE_CHECKING:

        def refuse(self) -> None: ...

    def _driver(self, name: str) -> Any:
        """The method of CursorDebugWrapper, which logs, or else the driver's."""
        if self.lease != self.db.lease:
            self.refuse()
        logging = getattr(super(), name, None)
        return getattr(self.cursor, name) if logging is None else logging


class _Open:
    """A COPY or stream of psycopg's. It holds the connection's lock until it has ended, and ending it asks the server.

    So the session's next call, which would wait for ever, ends it first; also where another thread has collected it.
    """

    def __init__(self, db: PersistentWrapper, end: Callable[[], object]) -> None:
        session = db.session
        assert session is not None
        self.db = db
        self.session = session
        self._end = session.unended = end

    def check(self) -> None:
        """Raise InterfaceError where another call has ended it."""
        if self.session.unended is not self._end:
            raise InterfaceError("Another call on the session of this COPY or stream has ended it.")

    def take(self) -> bool:
        """Claim the ending: True where the caller must end it now."""
        mine = self.session.unended is self._end and self.session.in_own_thread()
        if mine:
            self.session.unended = None
        return mine


class _Copy:
    """psycopg's Copy, with a deadline on each of its calls."""

    def __init__(self, copy: Any, opened: _Open) -> None:
        self._copy = copy
        self._open = opened

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._copy, name)
        if name not in ("read", "read_row", "write", "write_row", "finish"):
            return value

        opened = self._open
        session, limit = opened.session, opened.db.limit

        def call(*args: Any) -> Any:
            opened.check()
            with session.armed(limit):
                return value(*args)

        return call

    def __iter__(self) -> Iterator[Any]:
        while data := self.read():
            yield data

    def rows(self) -> Iterator[Any]:
        """As psycopg's."""
        while (row := self.read_row()) is not None:
            yield row


class _Copies3(_Cursor):
    @contextmanager
    def copy(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """As psycopg's."""
        manager = self._driver("copy")(*args, **kwargs)
        with self.db.deadline_armed():
            copy = manager.__enter__()
        opened = _Open(self.db, partial(manager.__exit__, GeneratorExit, GeneratorExit(), None))
        try:
            yield _Copy(copy, opened)
        except BaseException:
            if opened.take():
                with opened.session.armed(self.db.limit):
                    manager.__exit__(*sys.exc_info())
            raise
        opened.check()
        opened.session.unended = None
        with opened.session.armed(self.db.limit):
            manager.__exit__(None, None, None)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """As psycopg's."""
        rows = iter(self._driver("stream")(*args, **kwargs))
        if self.db.session is None:  # psycopg has its own error, or the application its own connection
            yield from rows
            return
        with self.db.deadline_armed():
            opened = _Open(self.db, rows.close)
        try:
            while True:
                opened.check()
                with opened.session.armed(self.db.limit):
                    try:
                        row = next(rows)
                    except StopIteration:
                        return
                yield row
        finally:
            if opened.take():
                with opened.session.armed(self.db.limit):
                    rows.close()


class _File:
    """The application's side of psycopg2's COPY: the deadline rests while it reads or writes."""

    def __init__(self, file: Any, db: PersistentWrapper) -> None:
        self._file = file
        self._db = db

    def read(self, *args: Any) -> Any:
        return self._resting(self._file.read, *args)

    def readline(self, *args: Any) -> Any:
        return self._resting(self._file.readline, *args)

    def write(self, *args: Any) -> Any:
        return self._resting(self._file.write, *args)

    def _resting(self, call: Any, *args: Any) -> Any:
        session = self._db.session
        if session is None:
            return call(*args)
        session.disarm()
        try:
            return call(*args)
        finally:
            session.arm(self._db.limit)


class _Text(_File, io.TextIOBase):
    """For psycopg2 the class of a file says whether it is text."""


def _file(file: Any, db: PersistentWrapper) -> _File:
    return _Text(file, db) if isinstance(file, io.TextIOBase) else _File(file, db)


class _Copies2(_Cursor):
    def copy_expert(self, sql: Any, file: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg2's."""
        copy = self._driver("copy_expert")
        with self.db.deadline_armed():
            return copy(sql, _file(file, self.db), *args, **kwargs)

    def copy_from(self, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        """As psycopg2's."""
        copy = self._driver("copy_from")
        with self.db.deadline_armed():
            return copy(_file(file, self.db), table, *args, **kwargs)

    def copy_to(self, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        """As psycopg2's."""
        copy = self._driver("copy_to")
        with self.db.deadline_armed():
            return copy(_file(file, self.db), table, *args, **kwargs)


if TYPE_CHECKING:
    Copies = _Copies3
else:
    Copies = _Copies3 if is_psycopg3 else _Copies2
