"""SQL sent straight through libpq (psycopg's `pgconn`), past the cursors, for what each case asks several times.

psycopg 3's cursors are Python. What they add (binding, prepared statements, adapters by type) is not needed for SQL
that holds its own values, and costs more than the server's answer. psycopg2's cursors are C and stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

_TUPLES, _DONE = 2, 1
"""libpq's PGRES_TUPLES_OK and PGRES_COMMAND_OK."""


def _numbers(text: bytes) -> list[int]:
    return [int(each) for each in text[1:-1].split(b",") if each]


_READERS: Final[dict[int, Callable[[bytes], Any]]] = {
    16: b"t".__eq__,
    20: int,
    21: int,
    23: int,
    26: int,
    1007: _numbers,
}
"""By type's oid (bool, int8, int2, int4, oid, int4[]) how its text is read; every other is text as it stands."""


def ask(wrapper: BaseDatabaseWrapper, sql: str) -> list[tuple[Any, ...]]:
    """Execute one or several statements, which are one transaction, and return the last one's rows, if it has any.

    Booleans, integers and arrays of int4 come as such, everything else as text. Raises what Django makes of errors.
    """
    made: Any = wrapper
    with made.wrap_database_errors:
        if hasattr(made.connection, "pgconn"):
            return _by_libpq(made.connection, sql, made.Database.errors.error_from_result)
        with made.connection.cursor() as cursor:
            cursor.execute(sql)
            found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return found


def _by_libpq(connection: Any, sql: str, error: Callable[..., Exception]) -> list[tuple[Any, ...]]:
    with connection.lock:  # as psycopg's cursors take it: a connection is asked by several threads
        result = connection.pgconn.exec_(sql.encode(connection.info.encoding))
    if result.status == _DONE:
        return []
    if result.status != _TUPLES:
        raise error(result, encoding=connection.info.encoding)
    columns = range(result.nfields)
    readers = [_READERS.get(result.ftype(column), bytes.decode) for column in columns]
    return [
        tuple(
            None if (value := result.get_value(row, column)) is None else readers[column](value) for column in columns
        )
        for row in range(result.ntuples)
    ]
