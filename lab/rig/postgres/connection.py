"""The lab's own connections, by psycopg2.

By no other driver: Django takes psycopg wherever it is installed, so that a project which has psycopg2 alone would run
on another driver once the lab is installed beside it.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import psycopg2
from psycopg2 import extensions, sql

Query = str | bytes | sql.Composable

_READY, _REFUSED, _NOT_YET = b"R", b"E", b"\0C57P03\0"


@dataclass(frozen=True)
class Statement:
    """One to be prepared: its name, the types of its parameters, and its text, where the first of them is $1."""

    name: str
    types: tuple[str, ...]
    text: str

    @cached_property
    def call(self) -> str:
        """What runs it."""
        return f"EXECUTE {self.name} ({', '.join(['%s'] * len(self.types))})"


class OwnConnection(extensions.connection):
    """One in autocommit. As a context manager it is closed at the end; psycopg2's own ends a transaction there.

    For one thread at a time. A call returns when the server has answered or the connection is lost: until then no
    signal's handler runs in the main thread.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._prepared: set[str] = set()

    def execute(self, query: Query, parameters: Sequence[object] | None = None) -> extensions.cursor:
        """Run a statement, or several where there are no parameters; the cursor that has its rows.

        Raises `psycopg2.Error`. A percent sign is doubled where there are parameters, and only there.
        """
        cursor = self.cursor()
        cursor.execute(query, parameters or None)
        return cursor

    def run(self, statement: Statement, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a statement that is asked often: the server plans it once for this connection."""
        if statement.name not in self._prepared:
            self.execute(f"PREPARE {statement.name} ({', '.join(statement.types)}) AS {statement.text}")
            self._prepared.add(statement.name)
        return self.execute(statement.call, parameters).fetchall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Environment:
    """Hides the variables that libpq reads (PGHOSTADDR, PGSERVICE, …) from it while a connection of ours is made.

    They are about somebody else's server: PGHOSTADDR would lead us to it, whatever host we give. `os.environ` keeps
    them: the subject's settings may read them, and a test suite that we are part of may need them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._hidden: list[str] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._hidden = [name for name in os.environ if name.startswith("PG")]
                for name in self._hidden:
                    os.unsetenv(name)
            self._inside += 1

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for name in self._hidden:
                    if name in os.environ:
                        os.putenv(name, os.environ[name])


_hidden = _Environment()


def connect(**parameters: Any) -> OwnConnection:
    """A connection by these parameters of libpq's, and by nothing else. Raises `psycopg2.OperationalError`."""
    with _hidden:
        connection: OwnConnection = psycopg2.connect(connection_factory=OwnConnection, **parameters)
    connection.autocommit = True
    return connection


def dsn(parameters: dict[str, Any]) -> str:
    """Libpq's parameters as one string."""
    return str(extensions.make_dsn(**parameters))


def accepts(host: str, port: int, user: str, database: str, timeout: float) -> bool:
    """Whether a server would let sessions begin, as `pg_isready` asks: without a password, and without a session.

    A refusal is a yes as well, unless it says that the server starts, stops or recovers (57P03).
    """
    said = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database)) + b"\0"
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(struct.pack("!ii", len(said) + 8, 3 << 16) + said)
            answer = connection.recv(1 << 12)
    except OSError:
        return False
    return answer[:1] == _READY or (answer[:1] == _REFUSED and _NOT_YET not in answer)
