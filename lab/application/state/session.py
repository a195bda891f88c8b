"""A control session: SQL as it stands, on the driver's own connection beneath a wrapper of Django's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from lab.application.state.libpq import ask
from lab.errors import LabError

LOCK_TIMEOUT_MS = 10_000
"""How long a restore waits for a lock that some session of the application still holds."""

QUIET = f"""
    SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; SET LOCAL row_security = off;
    SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres';
    SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL xmlbinary = 'base64';
    SET LOCAL work_mem = '64MB'; SET LOCAL jit = off
"""
"""What holds within a transaction of the lab: rows have one text each, and no limit of the project's ends it."""

ISOLATED = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"


class StateLost(LabError):
    """The database cannot be put back as it was."""


class Session:
    """SQL on the driver's connection: neither Django's query log nor any wrapper around `execute` sees it."""

    def __init__(self, alias: str, wrapper: BaseDatabaseWrapper) -> None:
        self.alias = alias
        self.wrapper: Any = wrapper
        wrapper.ensure_connection()
        self.version: int = int(self.rows("SHOW server_version_num")[0][0])

    def run(self, sql: str) -> None:
        """Execute one or several statements."""
        self._execute(sql, fetch=False)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute one statement and fetch all its rows."""
        return self._execute(sql, fetch=True)

    def at_once(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute statements in a transaction with settings of the lab's own, in one message to the server and back.

        Returns the rows of the last one, as `libpq.ask` reads them.
        """
        # A message of several statements is one transaction by itself, which an error rolls back.
        return self.quick("; ".join([ISOLATED, QUIET.strip(), *statements]))

    def quick(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute statements that hold their own values, with rows as `libpq.ask` reads them."""
        with self._lost():
            return ask(self.wrapper, sql)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction with settings of the lab's own; an exception rolls it back."""
        try:
            self.run(f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {QUIET}")
            yield
            self.run("COMMIT")
        except BaseException:
            with suppress(StateLost):
                self.run("ROLLBACK")
            raise

    def _execute(self, sql: str, *, fetch: bool) -> list[tuple[Any, ...]]:
        with self._lost(), self.wrapper.wrap_database_errors, self.wrapper.connection.cursor() as cursor:
            cursor.execute(sql)
            found: list[tuple[Any, ...]] = cursor.fetchall() if fetch else []
            return found

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            line = str(error).strip().partition("\n")[0]
            raise StateLost(
                f"the rows of the database {self.alias!r} could not be kept: {line}",
                "end other users of that database, or give --lab-postgres: there the lab is superuser",
            ) from error


HAND_IN = "SELECT pg_catalog.pg_stat_force_next_flush()"

COUNTERS_SINCE = 150000
"""The server version from which a session that ends hands its counters in for certain; datagrams got lost before."""


def hand_in(wrapper: BaseDatabaseWrapper) -> None:
    """Have a session that lives on hand its counters in, so that what it wrote is known to be touched."""
    if wrapper.connection is not None and wrapper.connection.info.server_version >= COUNTERS_SINCE:
        ask(wrapper, HAND_IN)
