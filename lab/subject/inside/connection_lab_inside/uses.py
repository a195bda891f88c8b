"""What applications do with many rows, with notifications and around a transaction.

Each says whether its result was whole, None where the driver has no such thing.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from django.db import DatabaseError, transaction
from django.test.utils import CaptureQueriesContext

Message = dict[str, Any]

MANY, CHUNK, COPIED = 5000, 100, 200
"""Rows that are read, that are fetched at once, and that are copied in."""
SERIES = "SELECT generate_series(1, %s)"
SLOW_END = "SELECT n, CASE WHEN n = %s THEN pg_catalog.pg_sleep(2)::text END FROM generate_series(1, %s) n"
"""Rows of which the last one takes its time, so that the server is still at it when the first ones have arrived."""
LINE, LINES = 10_000, 4_000
"""Characters of a line, and lines, of a bulk load."""
COPY_BULK = "COPY pg_temp.lab_bulk FROM STDIN"
BUSY_TABLE = """
CREATE TEMP TABLE lab_bulk (line text);
CREATE FUNCTION pg_temp.lab_busy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(10); RETURN NULL; END';
CREATE TRIGGER busy BEFORE INSERT ON pg_temp.lab_bulk FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.lab_busy()
"""
SLOW = 0.7
"""Seconds of a slow statement."""
SESSION_FUNCTION = """
CREATE SCHEMA IF NOT EXISTS lab;
CREATE OR REPLACE FUNCTION lab.session() RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT pid || '@' || extract(epoch FROM backend_start)::numeric(20, 6)
          FROM pg_stat_get_activity(pg_backend_pid()) $$
"""
"""Of a test database: what a read and a look want."""
CHANNEL = "lab_news"
PATIENCE = 1.0
"""Seconds for a notification that was sent to arrive."""


def many(message: Message) -> int:
    """How many rows a step reads."""
    return int(message.get("rows", MANY))


def numbers(message: Message) -> list[int]:
    """All that a step reads."""
    return list(range(1, many(message) + 1))


class HookRaised(Exception):
    """What a robust hook raises, for Django to log."""


class Uses:
    """Of one actor; `ran` are the steps whose hooks have run since it was last emptied."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self._rows: Iterator[int] | None = None
        self._read: list[int] = []
        self._news: list[Any] = []
        self._real = ""  # the database's name, while a test database is in its place
        self._kept = False

    def read_many(self, connection: Any, message: Message) -> bool:
        """A client-side cursor: all rows are there before the first is read."""
        with connection.cursor() as cursor:
            cursor.execute(SERIES, [many(message)])
            return [number for (number,) in cursor.fetchall()] == numbers(message)

    def stream(self, connection: Any, message: Message) -> bool | None:
        """Row by row, by cursor.stream() of psycopg 3."""
        with connection.cursor() as cursor:
            if not hasattr(cursor, "stream"):
                return None
            return [number for (number,) in cursor.stream(SERIES, [many(message)])] == numbers(message)

    def stream_left(self, connection: Any, message: Message) -> bool | None:
        """The same, left after the first rows: psycopg ends the statement when the generator is closed."""
        with connection.cursor() as cursor:
            if not hasattr(cursor, "stream"):
                return None
            with contextlib.closing(cursor.stream(SLOW_END, [many(message)] * 2)) as rows:
                return [number for number, _ in itertools.islice(rows, CHUNK)] == list(range(1, CHUNK + 1))

    def copy_out(self, connection: Any, message: Message) -> bool:
        """COPY TO STDOUT as each driver has it."""
        text = f"COPY (SELECT generate_series(1, {many(message)})) TO STDOUT"
        with connection.cursor() as cursor:
            if hasattr(cursor, "copy_expert"):
                cursor.copy_expert(text, out := io.StringIO())
                lines = out.getvalue().split()
            else:
                with cursor.copy(text) as copy:
                    lines = b"".join(map(bytes, copy)).decode().split()
        return lines == list(map(str, numbers(message)))

    def copy_in(self, connection: Any, message: Message) -> bool:
        """COPY FROM STDIN; that all is there the server must say."""
        text = "COPY lab.token (plan, token) FROM STDIN"
        line = f"{message['plan']}\t{message['token']}\n"
        with connection.cursor() as cursor:
            if hasattr(cursor, "copy_expert"):
                cursor.copy_expert(text, io.StringIO(line * COPIED))
            else:
                with cursor.copy(text) as copy:
                    for _ in range(COPIED):
                        copy.write(line)
        return True

    def bulk_load(self, connection: Any, _: Message) -> bool:
        """COPY of 40 MB to a server that is busy at first and reads nothing: more than all buffers on the way take."""
        line = f"{'x' * LINE}\n"
        with connection.cursor() as cursor:
            cursor.execute(BUSY_TABLE)
            if hasattr(cursor, "copy_expert"):
                cursor.copy_expert(COPY_BULK, io.StringIO(line * LINES))
            else:
                with cursor.copy(COPY_BULK) as copy:
                    for _row in range(LINES):
                        copy.write(line)
            cursor.execute("SELECT count(*) FROM pg_temp.lab_bulk")
            return bool(cursor.fetchone() == (LINES,))

    def slow(self, connection: Any, _: Message) -> bool:
        """A statement that takes so long that what was meant for an earlier one meets it."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [SLOW])
        return True

    def counted(self, connection: Any, message: Message) -> bool:
        """A query that a test or a toolbar counts: Django makes another kind of cursor for it, the one of DEBUG."""
        with CaptureQueriesContext(connection) as queries, connection.cursor() as cursor:
            cursor.execute("SELECT %s::text", [message["token"]])
            answer = cursor.fetchone()
        seen = [query["sql"] for query in queries.captured_queries if message["token"] in query["sql"]]
        return bool(answer == (message["token"],) and len(seen) == 1)

    def rowcounts(self, connection: Any, message: Message) -> bool:
        """What QuerySet.update() and save() go by: how many rows a statement has changed. Of a SELECT nobody asks."""
        row, other = ("unread", message["token"]), message["token"] + " updated"
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO lab.token (plan, token) VALUES (%s, %s)", [row, row, row])
            cursor.execute("UPDATE lab.token SET token = %s WHERE plan = %s AND token = %s", [other, *row])
            updated = cursor.rowcount
            cursor.execute("SELECT plan, token FROM lab.token WHERE token = %s", [other])
            names, rows = [column[0] for column in cursor.description], cursor.fetchall()
            cursor.execute("DELETE FROM lab.token WHERE token = %s", [other])
            counts = [updated, cursor.rowcount, len(rows)]
            cursor.execute("UPDATE lab.token SET token = %s WHERE token = %s", [other, other])
            return bool([*counts, cursor.rowcount] == [3, 3, 3, 0] and names == ["plan", "token"])

    def no_transaction(self, connection: Any, _: Message) -> bool | None:
        """VACUUM, which is refused in a transaction; elsewhere the server skips a table of another role, and warns."""
        if connection.in_atomic_block or not connection.get_autocommit():
            return None
        with connection.cursor() as cursor:
            cursor.execute("VACUUM lab.counter")
        return True

    def schema_editor(self, connection: Any, _: Message) -> bool:
        """What a migration does: DDL, in a block of the editor's own and in none."""
        for atomic in (True, False):
            with connection.schema_editor(atomic=atomic) as editor:
                editor.execute("CREATE TEMP TABLE lab_ddl (n integer); DROP TABLE lab_ddl", params=None)
        return True

    def schema_editor_refused(self, connection: Any, _: Message) -> bool:
        """A migration whose statement the server refuses."""
        for atomic in (True, False):
            try:
                with connection.schema_editor(atomic=atomic) as editor:
                    editor.execute("ALTER TABLE lab.missing ADD n integer", params=None)
            except DatabaseError:
                continue
            return False
        return True

    def rows(self, connection: Any, message: Message) -> bool:
        """A response that is generated: its first rows are sent, the others wait."""
        self._rows = self._generated(connection, many(message))
        self._read = [number for _, number in zip(range(CHUNK), self._rows, strict=False)]
        return self._read == numbers(message)[:CHUNK]

    def rest_of_rows(self, _: Any, message: Message) -> bool | None:
        """The response goes on to its end."""
        if self._rows is None:
            return None
        return [*self._read, *self._rows] == numbers(message)

    @staticmethod
    def _generated(connection: Any, rows: int) -> Iterator[int]:
        with connection.chunked_cursor() as cursor:
            cursor.execute(SERIES, [rows])
            while rows := cursor.fetchmany(CHUNK):
                yield from (number for (number,) in rows)

    def listen(self, connection: Any, _: Message) -> bool:
        """A consumer of notifications."""
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        raw = connection.connection
        if hasattr(raw, "add_notify_handler"):
            raw.add_notify_handler(self._news.append)
        return True

    def heard(self, connection: Any, _: Message) -> bool:
        """Whether a notification has come; the consumer asks by a query, with which it would come."""
        until = time.monotonic() + PATIENCE
        while not self._news and time.monotonic() < until:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.05)")
            self._news += getattr(connection.connection, "notifies", []) if self._lists(connection) else []
        found, self._news = bool(self._news), []
        return found

    @staticmethod
    def _lists(connection: Any) -> bool:
        return not callable(getattr(connection.connection, "notifies", None))

    def on_commit(self, connection: Any, message: Message) -> bool:
        """A hook that says that it has run."""
        step = message["id"]
        transaction.on_commit(lambda: self.ran.append(step), using=connection.alias)
        return True

    def on_commit_query(self, connection: Any, message: Message) -> bool:
        """A hook that asks the database, and then says that it has run."""
        step = message["id"]

        def hook() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            self.ran.append(step)

        transaction.on_commit(hook, using=connection.alias)
        return True

    def on_commit_block(self, connection: Any, message: Message) -> bool:
        """A hook with a block of its own, which registers one that says that it has run."""
        step = message["id"]

        def hook() -> None:
            with transaction.atomic(using=connection.alias):
                transaction.on_commit(lambda: self.ran.append(step), using=connection.alias)

        transaction.on_commit(hook, using=connection.alias)
        return True

    def on_commit_robust(self, connection: Any, _: Message) -> bool:
        """A hook that raises, which shall keep no other one from running."""

        def hook() -> None:
            raise HookRaised

        transaction.on_commit(hook, using=connection.alias, robust=True)
        return True

    def execute_wrapper(self, connection: Any, _: Message) -> bool:
        """A wrapper around the statements of a `with` block, as for counting them. It sees no later ones."""
        seen: list[str] = []

        def wrapper(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
            seen.append(str(sql))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(wrapper), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        within = len(seen)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 2")
        return bool(within and len(seen) == within)

    def savepoints(self, connection: Any, message: Message) -> bool | None:
        """Savepoints by name: what came after one that is rolled back is gone, what was before is there.

        The one that is rolled back is the innermost, and then one within which another is still open.
        """
        if not connection.in_atomic_block:
            return None
        insert = "INSERT INTO lab.token (plan, token) VALUES ('unread', %s)"
        with connection.cursor() as cursor:
            first = transaction.savepoint(using=connection.alias)
            cursor.execute(insert, [message["token"]])
            second = transaction.savepoint(using=connection.alias)
            cursor.execute(insert, [message["token"]])
            transaction.savepoint_rollback(second, using=connection.alias)
            transaction.savepoint_commit(first, using=connection.alias)
            outer = transaction.savepoint(using=connection.alias)
            cursor.execute(insert, [message["token"]])
            transaction.savepoint(using=connection.alias)
            cursor.execute(insert, [message["token"]])
            transaction.savepoint_rollback(outer, using=connection.alias)
            cursor.execute("SELECT count(*) FROM lab.token WHERE token = %s", [message["token"]])
            return bool(cursor.fetchone() == (1,))

    def for_update(self, connection: Any, message: Message) -> bool | None:
        """SELECT … FOR UPDATE of a row of its own."""
        if not connection.in_atomic_block:
            return None
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO lab.token (plan, token) VALUES ('unread', %s)", [message["token"]])
            cursor.execute("SELECT token FROM lab.token WHERE token = %s FOR UPDATE", [message["token"]])
            return bool(cursor.fetchone() == (message["token"],))

    def durable_inside(self, connection: Any, _: Message) -> bool | None:
        """atomic(durable=True) refuses to be inside another block, and leaves that as it is."""
        if not connection.in_atomic_block:
            return None
        try:
            with transaction.atomic(using=connection.alias, durable=True):
                return False
        except RuntimeError:
            return True

    def create_test_database(self, connection: Any, message: Message) -> bool:
        """As a test run begins. Where Django would migrate, the lab makes its own tables: a project's may take long."""
        own = connection.settings_dict
        self._real = own["NAME"]
        own["TEST"] = {**own.get("TEST", {}), "NAME": f"lab_test_{message['plan']}"}

        def migrate(command: str, *_: Any, **__: Any) -> None:
            if command != "migrate":
                return
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_database()")
                if cursor.fetchone() == (own["NAME"],):  # else a look will say where it is
                    cursor.execute(SESSION_FUNCTION)

        with mock.patch("django.core.management.call_command", migrate), _no_exit():
            connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=self._kept)
        return bool(own["NAME"] == own["TEST"]["NAME"])

    def clone_test_database(self, connection: Any, _: Message) -> bool | None:
        """As a parallel test run begins and ends: each of its processes has a copy."""
        if not self._real:
            return None
        with _no_exit():
            connection.creation.clone_test_db(suffix="1", verbosity=0)
            connection.creation.destroy_test_db(suffix="1", verbosity=0)
        return True

    def keep_test_database(self, connection: Any, _: Message) -> bool | None:
        """As a test run with --keepdb ends."""
        self._kept = True
        return self._destroyed(connection, keepdb=True)

    def destroy_test_database(self, connection: Any, _: Message) -> bool | None:
        """As a test run ends."""
        return self._destroyed(connection, keepdb=False)

    def _destroyed(self, connection: Any, *, keepdb: bool) -> bool | None:
        if not self._real:
            return None
        real, self._real = self._real, ""
        try:
            connection.creation.destroy_test_db(real, verbosity=0, keepdb=keepdb)
        finally:
            connection.settings_dict["NAME"] = real  # what comes later asks the real one, also when this has failed
        return True


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """Django ends a test run by sys.exit() when the server refuses to make a database; the reason is on its way."""
    try:
        yield
    except SystemExit as end:
        raise (
            end.__context__ if isinstance(end.__context__, Exception) else RuntimeError("the test run ended")
        ) from None
