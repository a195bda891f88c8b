"""Stories of the persistent backends, told in a process of their own: `persistent_story.py DRIVER ENGINE`.

Django's settings and the choice of the driver are a process's own, and the stories fork, lose threads and sockets. The
server comes by environment variables (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE). Prints a JSON object: the name
of each story, and "ok" or why not. Django and a driver alone, as the backends themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import json
import os
import re
import select
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

DRIVER, ENGINE = sys.argv[1:3]
if DRIVER == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django prefers it where it can be imported

import django  # noqa: E402
from asgiref.sync import sync_to_async  # noqa: E402
from asgiref.testing import ApplicationCommunicator  # noqa: E402
from django.conf import settings  # noqa: E402

TARGET = (os.environ["PGHOST"], int(os.environ["PGPORT"]))
QUERY_DEADLINE = 0.6
APP = f"story-{os.getpid()}"


class Proxy:
    """A relay that can fall silent (while still acknowledging), be cut, or refuse."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.silent = self.refusing = self.holds_ends = False
        self.connects = 0
        self.pause = 0.0
        """Seconds between two pieces that are passed on."""
        self.cut_at: tuple[str, bytes] | None = None
        """Cut when this side ("client" or "server") sends these bytes; they are not passed on."""
        self.pooler = False
        """Apply the startup packet's TimeZone by SET, and none of the other `options`, as PgBouncer may."""
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for one in pair:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            self.connects += 1
            if self.refusing:
                client.close()
                continue
            server = socket.create_connection(TARGET)
            self._pairs.append((client, server))
            if self.pooler:
                self._log_in(client, server)
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _log_in(self, client: socket.socket, server: socket.socket) -> None:
        startup = client.recv(65536)
        texts = startup[8:].rstrip(b"\0").split(b"\0")
        given = dict(zip(texts[::2], texts[1::2], strict=True))
        (zone,) = re.findall(rb"-c TimeZone=(\S+)", given.pop(b"options"))
        body = startup[4:8] + b"".join(name + b"\0" + value + b"\0" for name, value in given.items()) + b"\0"
        server.sendall(struct.pack("!I", len(body) + 4) + body)
        ready = b"Z\0\0\0\5I"
        said = b""
        while not said.endswith(ready):  # passwords, and the server's parameters
            select.select([client, server], [], [])
            if select.select([client], [], [], 0)[0]:
                server.sendall(client.recv(65536))
            if select.select([server], [], [], 0)[0]:
                said += server.recv(65536)
                if not said.endswith(ready):
                    client.sendall(said)
                    said = b""
        client.sendall(said.removesuffix(ready))
        query = b"SET TimeZone = '" + zone + b"'\0"
        server.sendall(b"Q" + struct.pack("!I", len(query) + 4) + query)
        answer = b""
        while not answer.endswith(ready):
            answer += server.recv(65536)
        done = answer.index(b"C")  # CommandComplete; parameters, if any, come before it or after
        (length,) = struct.unpack("!I", answer[done + 1 : done + 5])
        client.sendall(answer[:done] + answer[done + 1 + length :])

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        answers = threading.Thread(target=self._relay, args=(server, client, "server"), daemon=True)
        answers.start()
        self._relay(client, server, "client")
        answers.join()
        for one in (client, server):
            one.close()  # shut down alone, it would keep a server waiting that has more to send

    def _relay(self, source: socket.socket, sink: socket.socket, side: str) -> None:
        try:
            while data := source.recv(65536):
                if self.cut_at is not None and self.cut_at[0] == side and self.cut_at[1] in data:
                    self.cut_at = None
                    self.cut()
                    return
                while self.silent:
                    time.sleep(0.01)
                if self.pause:
                    time.sleep(self.pause)
                sink.sendall(data)
        except OSError:
            pass
        while self.holds_ends:
            time.sleep(0.01)
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


proxy = Proxy()


def database(options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "ENGINE": f"backend_under_test.persistent_{ENGINE}",
        "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "HOST": "127.0.0.1",
        "PORT": proxy.port,
        "OPTIONS": {
            "application_name": APP,
            "persistent": {"query_deadline": QUERY_DEADLINE, "check_deadline": 0.3},
            "sslmode": "disable",
            "gssencmode": "disable",
            **(options or {}),
        },
        **more,
    }


settings.configure(
    DATABASES={
        "default": database(),
        "manual": database(AUTOCOMMIT=False),
        "open": database(options={"connect_timeout": None}),
        "unlimited": database(options={"connect_timeout": 0}),
        "tokyo": database(TIME_ZONE="Asia/Tokyo", options={"assume_role": os.environ["STORY_ROLE"]}),
    },
    USE_TZ=True,
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.signals import request_finished, request_started  # noqa: E402
from django.db import (  # noqa: E402
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    models,
    transaction,
)
from django.db.backends.signals import connection_created  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import path  # noqa: E402

from backend_under_test.persistent_core.holder import SessionInUse, close_idle  # noqa: E402
from backend_under_test.persistent_core.wire import ACTIVE, IDLE  # noqa: E402

# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _observer() -> Any:
    if DRIVER == "psycopg2":
        import psycopg2  # noqa: PLC0415  # the chosen driver alone

        observer = psycopg2.connect(sslmode="disable")
        observer.autocommit = True
        return observer
    import psycopg  # noqa: PLC0415

    return psycopg.connect("sslmode=disable", autocommit=True)


OBSERVER = _observer()


def observe(sql: str, *params: Any) -> list[Any]:
    with OBSERVER.cursor() as cursor:
        cursor.execute(sql, params or None)
        return list(cursor.fetchall()) if cursor.description else []


def observe_in_transaction(sql: str | None) -> None:
    """Run it in a transaction that stays open; None ends that."""
    if sql is None:
        observe("ROLLBACK")
    else:
        observe("BEGIN")
        observe(sql)


def sessions() -> set[int]:
    return {pid for (pid,) in observe("SELECT pid FROM pg_stat_activity WHERE application_name = %s", APP)}


def kept() -> list[str]:
    return [token for (token,) in observe("SELECT t FROM story ORDER BY t")]


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.01)


@contextmanager
def request() -> Iterator[None]:
    request_started.send(sender=None)
    try:
        yield
    finally:
        request_finished.send(sender=None)


def ask(sql: str, *params: Any, alias: str = "default") -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchone()[0] if cursor.description else None


def pid(alias: str = "default") -> int:
    return int(ask("SELECT pg_backend_pid()", alias=alias))


def write(token: str, alias: str = "default") -> None:
    ask("INSERT INTO story VALUES (%s)", token, alias=alias)


def _gone(session: int) -> bool:
    return session not in sessions()


def raised(expected: type[BaseException], call: Callable[..., object], *args: Any, **kwargs: Any) -> BaseException:
    try:
        call(*args, **kwargs)
    except expected as error:
        return error
    raise AssertionError(f"{expected.__name__} was not raised")


def in_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:  # noqa: BLE001  # told to the asker
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def in_child(call: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call()
            status = 0
        except BaseException:  # noqa: BLE001  # nothing may leave a forked child
            traceback.print_exc()
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"


# ── stories ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def reuses_one_session() -> None:
    found = set()
    for number in range(6):
        with request():
            if number % 2:
                with transaction.atomic():
                    found.add(pid())
            else:
                found.add(pid())
    assert len(found) == 1
    assert sessions() == found


def replaces_a_dead_session_with_one_connect() -> None:
    for kind in ("terminate", "cut"):
        with request():
            before = pid()
        if kind == "terminate":
            observe("SELECT pg_terminate_backend(%s)", before)
        else:
            proxy.cut()
        until(functools.partial(_gone, before))
        time.sleep(0.1)  # the end of the stream passes through the relay's threads
        connects = proxy.connects
        with request(), transaction.atomic():
            assert pid() != before
        assert proxy.connects == connects + 1


def a_farewell_that_came_with_the_answer_is_heard() -> None:
    for alias in ("default", "tokyo"):
        with request():
            before = pid(alias)
        proxy.holds_ends = True  # the server's last words arrive, the end of its stream does not
        observe("SELECT pg_terminate_backend(%s)", before)
        until(functools.partial(_gone, before))
        time.sleep(0.05)  # for the relay
        with request():
            assert pid(alias) != before
        proxy.holds_ends = False


def leaves_no_state_to_the_next_request() -> None:
    role = os.environ["STORY_ROLE"]
    with request():
        before = pid()
        for statement in (
            "SET timezone = 'Asia/Tokyo'",
            f"SET role {role}",
            "SET search_path = elsewhere",
            "CREATE TEMP TABLE mine (i int)",
            "SELECT pg_advisory_lock(4711)",
            "LISTEN story",
            "PREPARE mine AS SELECT 1",
            "SET statement_timeout = 1234",
            "SET default_transaction_read_only = on",
        ):
            ask(statement)
        connection.connection.isolation_level = 3
        transaction.set_autocommit(False)
    until(lambda: not observe("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"))
    with request():
        assert pid() == before
        assert connection.get_autocommit()
        assert ask("SHOW timezone") == "UTC"
        assert ask("SELECT current_user") != role
        assert ask("SHOW search_path") != "elsewhere"
        assert ask("SELECT to_regclass('pg_temp.mine')") is None
        assert ask("SELECT count(*) FROM pg_prepared_statements") == 0
        assert ask("SELECT count(*) FROM pg_listening_channels()") == 0
        assert ask("SHOW statement_timeout") == "0"
        assert ask("SHOW transaction_read_only") == "off"
        with transaction.atomic():
            assert ask("SHOW transaction_isolation") == "read committed"


def ends_what_a_request_left_open() -> None:
    with request():
        before = pid()
        ask("BEGIN")
        write("by hand")
    state = "SELECT state FROM pg_stat_activity WHERE pid = %s"
    until(lambda: observe(state, before) == [("idle",)])
    block = transaction.atomic()
    request_started.send(sender=None)
    block.__enter__()
    write("never left")
    request_finished.send(sender=None)
    until(lambda: observe(state, before) == [("idle",)])
    with request():
        assert pid() == before
        write("next")
    assert kept() == ["next"]


def a_block_without_its_session_raises() -> None:
    def closes() -> None:
        with transaction.atomic():
            write("lost")
            connection.close()

    def ends_early() -> None:
        with transaction.atomic():
            write("lost")
            request_finished.send(sender=None)

    for story in (closes, ends_early):
        with request():
            assert "closed before" in str(raised(DatabaseError, story))
            write(story.__name__)
    assert kept() == ["closes", "ends_early"]


def a_swallowed_error_raises_where_the_block_is_left() -> None:
    def in_the_block() -> None:
        with transaction.atomic():
            write("a")
            raised(Error, ask, "SELECT 1 / 0")

    def marked() -> None:
        with transaction.atomic():
            write("b")
            try:
                with transaction.atomic(savepoint=False):
                    ask("SELECT 1 / 0")
            except Error:
                pass

    def lost() -> None:
        with transaction.atomic():
            write("c")
            try:
                with transaction.atomic():
                    proxy.cut()
                    ask("SELECT 1")
            except Error:
                pass

    for story in (in_the_block, marked, lost):
        with request():
            raised(Error, story)
        with request():
            pid()
    with request(), transaction.atomic():
        write("asked for")
        transaction.set_rollback(True)
    assert kept() == []


def commits_on_close_exactly_once_or_raises() -> None:
    with request():
        transaction.set_autocommit(False)
        write("switched")
    with request():
        write("set", "manual")
    with request():
        transaction.set_autocommit(False)
        write("by hand")
        connection.close()
    assert kept() == ["by hand", "set", "switched"]
    for side in ("client", "server"):
        request_started.send(sender=None)
        write(f"cut at the {side}", "manual")
        proxy.cut_at = (side, b"COMMIT")
        raised(Error, request_finished.send, sender=None)
        with request():
            pid("manual")
    assert kept() == ["by hand", "cut at the server", "set", "switched"]
    request_started.send(sender=None)
    write("pending", "manual")
    proxy.cut()
    raised(Error, ask, "SELECT 1", alias="manual")
    # Asking for a cursor is no success: what was pending before the loss still is, and close() must say so.
    raised(Error, connections["manual"].cursor)
    raised(Error, request_finished.send, sender=None)
    assert "pending" not in kept()


def a_lost_commit_raises_its_own_error() -> None:
    for side in ("client", "server"):
        hooks: list[str] = []

        def commits(side: str = side, hooks: list[str] = hooks) -> None:
            with transaction.atomic():
                write(side)
                transaction.on_commit(lambda: hooks.append(side))
                proxy.refusing = True
                proxy.cut_at = (side, b"COMMIT")

        with request():
            error = raised(Error, commits)
        proxy.refusing = False
        assert re.search("server closed|connection reset", str(error)), error
        assert not hooks
        with request():
            pid()
    assert kept() == ["server"]


def every_call_ends_at_its_deadline() -> None:
    def query() -> None:
        pid()
        proxy.silent = True
        ask("SELECT 1")

    def commit() -> None:
        with transaction.atomic():
            write("silence")
            proxy.silent = True

    def close() -> None:
        transaction.set_autocommit(False)
        write("silence")
        proxy.silent = True
        connection.close()

    for call in (query, commit, close):
        with request():
            began = time.monotonic()
            assert "query_deadline" in str(raised(OperationalError, call))
            assert QUERY_DEADLINE <= time.monotonic() - began < QUERY_DEADLINE + 1.5
        proxy.silent = False
        with request():
            pid()


def copy_in(lines: Iterator[bytes]) -> None:
    """COPY what an application makes line by line."""
    with connection.cursor() as cursor:
        if DRIVER == "psycopg2":
            cursor.copy_expert("COPY story FROM STDIN", Lines(lines))
            return
        with cursor.copy("COPY story FROM STDIN") as copy:
            for line in lines:
                copy.write(line)


def copy_out(text: str) -> int:
    """The bytes that a COPY sends."""
    with connection.cursor() as cursor:
        if DRIVER == "psycopg2":
            cursor.copy_expert(f"COPY ({text}) TO STDOUT", binary := io.BytesIO())
            cursor.copy_expert(f"COPY ({text}) TO STDOUT", out := io.StringIO())
            assert binary.getvalue().decode() == out.getvalue()
            return len(out.getvalue())
        with cursor.copy(f"COPY ({text}) TO STDOUT") as copy:
            return sum(len(bytes(data)) for data in copy)


def streamed(text: str) -> int:
    """The rows of a result that psycopg streams; psycopg2 reads them whole."""
    with connection.cursor() as cursor:
        if DRIVER == "psycopg2":
            cursor.execute(text)
            return len(cursor.fetchall())
        return sum(1 for _ in cursor.stream(text))


class Lines:
    """A file that psycopg2 reads."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines

    def read(self, size: int) -> bytes:
        return next(self._lines, b"")


def a_copy_has_deadlines_for_its_waits_alone() -> None:
    line = b"c" * 60_000 + b"\n"

    def slowly(count: int, pause: float) -> Iterator[bytes]:
        for _ in range(count):
            time.sleep(pause)
            yield line

    with request():  # the application is slow
        session = pid()
        copy_in(slowly(4, QUERY_DEADLINE / 2))
        assert (pid(), ask("SELECT count(*) FROM story")) == (session, 4)
    ask("TRUNCATE story")
    with request():  # the path is slow, and the bytes move
        session = pid()
        proxy.pause = 0.05
        try:
            copy_in(slowly(14, 0))
            assert copy_out("SELECT repeat('o', 60000) FROM generate_series(1, 14)") > 840_000
            with connection.cursor() as cursor:  # one statement, for longer than the deadline
                cursor.executemany("INSERT INTO story VALUES (%s)", [["m" * 60_000] for _ in range(14)])
                cursor.execute("SELECT length(%s)", ["p" * 1_000_000])
        finally:
            proxy.pause = 0.0
        assert (pid(), ask("SELECT count(*) FROM story")) == (session, 28)
    ask("TRUNCATE story")
    for silent in (
        lambda: copy_in(slowly(2000, 0)),
        lambda: copy_out("SELECT repeat('o', 60000) FROM generate_series(1, 60)"),
        lambda: streamed("SELECT repeat('o', 60000) FROM generate_series(1, 60)"),
    ):
        with request():
            pid()
            proxy.silent = True
            started = time.monotonic()
            try:
                raised(Exception, silent)
            finally:
                proxy.silent = False
            assert time.monotonic() - started < QUERY_DEADLINE + 5
        with request():
            assert ask("SELECT count(*) FROM story") == 0
    with request():  # a server that does not read acknowledges the probes of its closed window, and no bytes
        session = pid()
        observe_in_transaction("LOCK TABLE story")
        try:
            raised(Exception, copy_in, slowly(2000, 0))
        finally:
            observe_in_transaction(None)
    with request():
        assert pid() != session


def a_slow_loop_over_rows_is_no_slow_query() -> None:
    with request():
        with connection.cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            for _ in cursor:
                time.sleep(QUERY_DEADLINE / 2)
        with connection.query_deadline(5.0):  # type: ignore[attr-defined]
            ask("SELECT pg_sleep(%s)", QUERY_DEADLINE + 0.5)


def attempts_to_connect_are_paced() -> None:
    with request():
        pid()
    proxy.refusing = True
    proxy.cut()
    connects = proxy.connects
    with request():
        for _ in range(10):
            raised(OperationalError, pid)
    assert proxy.connects - connects <= 3
    proxy.refusing = False
    with request():
        pid()


def errors_of_statements_keep_the_session_but_read_only_does_not() -> None:
    with request():
        before = pid()
        write("twice")
        ask("CREATE UNIQUE INDEX story_once ON story (t)")
        raised(IntegrityError, write, "twice")
        ask("SET statement_timeout = 20")
        raised(OperationalError, ask, "SELECT pg_sleep(1)")
    with request():
        assert pid() == before
        ask("DROP INDEX story_once")
        ask("SET default_transaction_read_only = on")
        raised(Error, write, "read-only")
    with request():
        assert pid() != before


def what_handlers_set_is_there_in_every_request() -> None:
    fired: list[int] = []

    def handler(connection: Any, **kwargs: object) -> None:
        fired.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SET app.tenant = 'acme' -- a comment")
            cursor.execute("SELECT set_config('search_path', %s, false)", ["acme,public"])

    connection_created.connect(handler)
    try:
        for alias in ("default", "manual"):
            for _ in range(3):
                with request():
                    for _ in range(2):
                        assert ask("SELECT current_setting('app.tenant')", alias=alias) == "acme"
                        assert ask("SHOW search_path", alias=alias) == "acme,public"
                        transaction.rollback(alias)
                    ask("SET app.tenant = 'evil'", alias=alias)
    finally:
        connection_created.disconnect(handler)
    assert len(fired) == 2


def what_a_pooler_made_of_the_startup_packet_is_made_good() -> None:
    """PgBouncer 1.24 applies some of `options` by SET, which the reset undoes: TIME_ZONE would silently be UTC."""
    proxy.pooler = True
    try:
        found = []
        for _ in range(4):
            with request():
                found.append((ask("SHOW TimeZone", alias="tokyo"), pid("tokyo")))
                ask("SET TimeZone = 'Europe/Paris'", alias="tokyo")
        assert len(set(found)) == 1, found
        assert found[0][0] == "Asia/Tokyo"
    finally:
        proxy.pooler = False


def page(request: Any) -> HttpResponse:
    own = pid()
    together.wait()  # from here on all have their session: none gives one back for another to take before
    return HttpResponse(str(own))


urlpatterns = [path("", page)]
together = threading.Barrier(1)


def over_asgi(count: int) -> list[int]:
    """So many requests at once, each in the thread that ASGI makes for it; the sessions that served them."""
    global together  # noqa: PLW0603 - the view has no other way to hear of it
    together = threading.Barrier(count)
    application = get_asgi_application()
    communicator: Any = ApplicationCommunicator  # asgiref has no types for it

    async def ask_page() -> int:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        client = communicator(application, scope)
        await client.send_input({"type": "http.request", "body": b""})
        start = await client.receive_output(10)
        body = await client.receive_output(10)
        await client.wait(10)
        assert start["status"] == 200, start
        return int(body["body"])

    async def ask_all() -> list[int]:
        return await asyncio.gather(*(ask_page() for _ in range(count)))

    return asyncio.run(ask_all())


def requests_over_asgi_reuse_sessions() -> None:
    in_turn = {found for _ in range(4) for found in over_asgi(1)}
    assert len(in_turn) == 1, in_turn
    if ENGINE == "global":
        return
    first, second = over_asgi(6), over_asgi(6)
    assert len(set(first)) == len(set(second)) == 6
    assert set(first) == set(second) == sessions(), (first, second, sessions())
    connections.settings["default"]["OPTIONS"]["persistent"]["spares"] = 2
    try:
        over_asgi(4)
        until(lambda: len(sessions()) == 2)
    finally:
        del connections.settings["default"]["OPTIONS"]["persistent"]["spares"]
        close_idle()
        until(lambda: not sessions())


def aliases_keep_their_own_configuration() -> None:
    for _ in range(2):
        with request():
            assert ask("SHOW timezone", alias="tokyo") == "Asia/Tokyo"
            assert ask("SELECT current_user", alias="tokyo") == os.environ["STORY_ROLE"]
            assert ask("SHOW timezone") == "UTC"
            assert ask("SELECT current_user") == os.environ["PGUSER"]
            assert not connections["manual"].get_autocommit()
            ask("SET role none", alias="tokyo")
    assert len(sessions()) == 3


def bounds_hold_where_options_leave_them_open() -> None:
    for name, expected in (("default", 3), ("open", 3), ("unlimited", 0)):
        assert connections[name].get_connection_params()["connect_timeout"] == expected
    with request():
        assert pid("open") != pid("unlimited")


def cursors_end_with_their_request() -> None:
    with request():
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        named = connection.chunked_cursor()
        named.execute("SELECT generate_series(1, 10)")
        named.fetchone()
    raised(InterfaceError, cursor.execute, "SELECT 1")
    with request():
        pid()
        raised(InterfaceError, cursor.execute, "SELECT 1")
        raised(InterfaceError, lambda: named.fetchone())  # noqa: PLW0108  # looking it up raises
        named.close()
        with connection.chunked_cursor() as again:
            again.execute("SELECT generate_series(1, 10)")
            assert len(list(again)) == 10


def cursors_are_djangos_in_all_but_their_lease() -> None:
    with request():
        with connection.cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 5)")
            assert cursor.fetchone() == (1,)
            assert cursor.fetchmany(2) == [(2,), (3,)]
            assert cursor.fetchmany(size=1) == [(4,)]
            assert cursor.fetchall() == [(5,)]
            assert cursor.fetchmany(1) == []
            cursor.execute("SET TIME ZONE 'UTC'")
            for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall):
                assert raised(ProgrammingError, fetch).__cause__ is not None
        seen = []

        def wrapper(execute: Any, sql: Any, *args: Any) -> Any:
            seen.append(sql)
            return execute(sql, *args)

        with connection.execute_wrapper(wrapper):
            ask("SELECT 1")
        with CaptureQueriesContext(connection) as captured:
            ask("SELECT 2")
        assert (seen, [each["sql"] for each in captured]) == (["SELECT 1"], ["SELECT 2"])
        observe("SELECT pg_terminate_backend(%s)", pid())
        raised(Error, ask, "SELECT 3")
        raised(Error, connection.cursor)  # of Django's, though no statement was asked


def read_in_chunks(sql: str) -> None:
    """As QuerySet.iterator() does."""
    cursor = connection.chunked_cursor()
    try:
        cursor.execute(sql)
    except Exception:
        cursor.close()
        raise
    try:
        while cursor.fetchmany(2):
            pass
    finally:
        cursor.close()


def the_first_error_of_a_cursor_in_the_server_is_told() -> None:
    for sql in ("SELECT 1 / 0", "SELECT 1 / (7 - n) FROM generate_series(1, 9) n"):
        with request():
            session = pid()
            raised(DataError, read_in_chunks, sql)
            with raised_in_block(DataError), transaction.atomic():
                read_in_chunks(sql)
            assert pid() == session
    with request():
        session = pid()
        cursor = connection.chunked_cursor()
        cursor.execute("SELECT 1")
        observe("SELECT pg_terminate_backend(%s)", session)
        raised(OperationalError, cursor.fetchmany)
        cursor.close()


@contextmanager
def raised_in_block(expected: type[BaseException]) -> Iterator[None]:
    try:
        yield
    except expected:
        return
    raise AssertionError(f"{expected.__name__} was not raised")


class Line(models.Model):
    t: Any = models.TextField(primary_key=True)

    class Meta:
        app_label = "story"
        db_table = "story"
        managed = False

    def __str__(self) -> str:
        return str(self.t)


def opened(alias: str = "default") -> Any:
    """A cursor in the server of which rows are unread, as iterator() has it."""
    cursor = connections[alias].chunked_cursor()
    cursor.execute("SELECT generate_series(1, 1000)")
    assert cursor.fetchmany(2) == [(1,), (2,)]
    return cursor


def open_cursors(alias: str = "default") -> int:
    return int(ask("SELECT count(*) FROM pg_cursors WHERE name LIKE '\\_django%'", alias=alias))


LOCK = "SELECT pg_advisory_xact_lock(7)"


@contextmanager
def locked() -> Iterator[Callable[[], object]]:
    """Whoever asks for LOCK waits; until what this gives is called, or its deadline has passed."""
    observe("SELECT pg_advisory_lock(7)")
    free = functools.partial(observe, "SELECT pg_advisory_unlock_all()")
    try:
        yield free
    finally:
        free()


def wait_for_the_waiting() -> None:
    until(lambda: observe("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"))


def beside_a_statement(call: Callable[[], object], *, ends: bool = True) -> None:
    """Call it in another thread while this one's statement runs, which ends once the call has returned.

    With `ends` false nothing but its deadline ends the statement.
    """
    with locked() as free:

        def beside() -> None:
            wait_for_the_waiting()
            call()
            if ends:
                free()

        thread = Asking(beside)
        try:
            ask(LOCK)
        finally:
            thread.answer()


class Asking(threading.Thread):
    """A thread whose errors are its asker's. It is a daemon: where it hangs, the story fails and the next is told."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._found: list[Any] = []
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._found.append(self._call())
        except BaseException as error:  # noqa: BLE001  # raised where it is asked for
            self._error = error

    def answer(self) -> Any:
        self.join(8)
        if self._error is not None:
            raise self._error
        assert self._found, "it hangs"
        return self._found[0]


def another_thread_closes_no_cursor_beside_a_statement() -> None:
    def close(cursor: Any, session: Any) -> None:
        armed = session.deadline
        cursor.close()
        cursor.close()
        assert armed is not None
        assert session.deadline == armed

    wrapper: Any = connections["default"]
    for limits in (contextlib.nullcontext, request):
        for block in (contextlib.nullcontext, transaction.atomic):
            with limits(), block():
                cursor = opened()
                session = pid()
                beside_a_statement(functools.partial(close, cursor, wrapper.session))
                raised(InterfaceError, lambda given=cursor: given.fetchone())
                assert (open_cursors(), pid()) == (0, session)
        connection.close()
    with request():
        closes = functools.partial(close, opened(), wrapper.session)
        assert "query_deadline" in str(raised(OperationalError, beside_a_statement, closes, ends=False))
    with request(), wrapper.query_deadline(None):
        Asking(opened().close).answer()
        assert open_cursors() == 0


class Adapted:
    """A parameter of which the driver makes `number` by Python code, in the midst of its call."""

    def __init__(self, call: Callable[[], object], number: int) -> None:
        self.call = call
        self.number = number

    def __conform__(self, protocol: object) -> Any:
        """For psycopg2."""
        from psycopg2.extensions import AsIs  # noqa: PLC0415  # the chosen driver alone

        self.call()
        return AsIs(self.number)


def adapt() -> None:
    """For psycopg 3, which has no such method."""
    if DRIVER == "psycopg2":
        return
    from psycopg.adapt import Dumper  # noqa: PLC0415

    class AdaptedDumper(Dumper):
        def dump(self, obj: Any) -> bytes:
            obj.call()
            return str(obj.number).encode()

    connection.connection.adapters.register_dumper(Adapted, AdaptedDumper)


def a_cursor_that_is_collected_within_a_call_is_closed_after_it() -> None:
    def story() -> int:
        with request():
            session = pid()
            adapt()
            cursor = opened()
            ask("SELECT %s", Adapted(cursor.close, 1))  # as the garbage collector may, anywhere
            assert (open_cursors(), pid()) == (0, session)
            cursor = opened()
            given_up = raised(OperationalError, ask, "SELECT pg_sleep(%s)", Adapted(cursor.close, 3))
            assert "query_deadline" in str(given_up)
        return session

    Asking(story).answer()


def a_cursor_that_another_thread_closes_harms_no_transaction() -> None:
    with request():
        with transaction.atomic():
            ended = opened()
        held = opened()
        with transaction.atomic():
            write("of a later block")
            Asking(ended.close).answer()
            assert open_cursors() == 1
            with raised_in_block(DataError), transaction.atomic():
                in_block = opened()
                try:
                    ask("SELECT 1 / 0")
                finally:
                    Asking(held.close).answer()
                    Asking(in_block.close).answer()
            assert open_cursors() == 0
        with transaction.atomic():
            Asking(opened().close).answer()
            ask("ALTER TABLE story ADD COLUMN n integer")
            ask("ALTER TABLE story DROP COLUMN n")
    assert kept() == ["of a later block"]
    with request():
        Asking(opened("manual").close).answer()
        transaction.commit("manual")
        wrapper: Any = connections["manual"]
        with wrapper.wrap_database_errors:
            pass
        assert wrapper.session.status() == IDLE, "a transaction was begun"
        assert open_cursors("manual") == 0


def a_cursor_that_outlives_its_request_is_of_no_other_session() -> None:
    for in_its_thread in (True, False):
        with request():
            cursor = opened()
            session = pid()
        turn, done = threading.Event(), threading.Event()

        def serves(turn: threading.Event = turn, done: threading.Event = done) -> tuple[int, int]:
            with request(), transaction.atomic():
                own = pid()
                write("of another request")
                turn.set()
                assert done.wait(5)
                return own, open_cursors()

        thread = Asking(serves)
        try:
            assert turn.wait(5)
            cursor.close() if in_its_thread else Asking(cursor.close).answer()
        finally:
            done.set()
        assert thread.answer() == (session, 0)
    assert kept() == ["of another request"] * 2


def without_a_reset_a_cursor_is_closed_at_the_next_use() -> None:
    options = connections.settings["default"]["OPTIONS"]["persistent"]
    options["reset"] = False
    try:
        close_idle()
        with request():
            session = pid()
            Asking(opened().close).answer()
        with request():
            assert (open_cursors(), pid()) == (0, session)
    finally:
        del options["reset"]
        close_idle()


def a_loop_left_early_does_not_stop_the_event_loop() -> None:
    """Nobody closes aiterator()'s synchronous generator then: it is collected in the event loop's thread."""
    count = sync_to_async(open_cursors)

    async def leave_early(free: Callable[[], object]) -> tuple[int, int]:
        async for _ in Line.objects.aiterator(chunk_size=2):
            opened_cursors = await count()
            statement = asyncio.create_task(sync_to_async(ask)(LOCK))
            await asyncio.to_thread(wait_for_the_waiting)
            break
        await asyncio.get_running_loop().shutdown_asyncgens()  # the generators are closed when this returns
        assert not statement.done(), "the event loop waited for the statement"
        free()
        await statement
        left = await count()
        await sync_to_async(connections.close_all)()
        return opened_cursors, left

    for number in range(10):
        write(str(number))
    connection.close()
    with locked() as free:
        assert asyncio.run(leave_early(free)) == (1, 0)


ROWS = 1000
"""Of 60 kB each: more than is on its way at any time."""


def streams() -> Iterator[None]:
    with connection.cursor() as cursor:
        for _ in cursor.stream(f"SELECT repeat('o', 60000) FROM generate_series(1, {ROWS})"):
            yield


def copies_out() -> Iterator[None]:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY (SELECT repeat('o', 60000) FROM generate_series(1, {ROWS})) TO STDOUT") as copy,
    ):
        for _ in copy:
            yield


def copies_in() -> Iterator[None]:
    with connection.cursor() as cursor, cursor.copy("COPY story FROM STDIN") as copy:
        while True:
            copy.write("of a copy\n")
            yield


KINDS = () if DRIVER == "psycopg2" else (streams, copies_out, copies_in)
"""COPYs and streams that are under way while the application works. psycopg2 has none."""


def begun(kind: Callable[[], Iterator[None]]) -> Any:
    rows = kind()
    next(rows)
    return rows


def another_thread_ends_no_copy() -> None:
    wrapper: Any = connections["default"]
    for kind in KINDS:
        with request():
            session = pid()
            rows = begun(kind)
            Asking(rows.close).answer()
            assert wrapper.session.status() == ACTIVE, "the server was asked"
            assert pid() == session
    assert kept() == []


def a_call_beside_a_copy_ends_it() -> None:
    def commits(kind: Any) -> Any:
        with transaction.atomic():
            write("of the block")
            return begun(kind)

    def story() -> None:
        for kind in KINDS:
            with request():
                session = pid()
                rows = begun(kind)
                assert pid() == session
                raised(InterfaceError, next, rows)
                raised(DatabaseError, commits, kind)
                assert pid() == session
                rows = begun(kind)
            with request():
                assert pid() != session

    Asking(story).answer()
    assert kept() == []


def a_copy_that_is_dropped_has_a_deadline() -> None:
    def story() -> None:
        for kind in KINDS:
            with request():
                rows = begun(kind)
                proxy.silent = proxy.refusing = True  # refusing: psycopg cancels by another connection
                began = time.monotonic()
                rows.close()
                assert time.monotonic() - began < QUERY_DEADLINE + 1.5
                proxy.silent = proxy.refusing = False

    Asking(story).answer()


def a_child_leaves_its_parents_copy_alone() -> None:
    for kind in KINDS:
        with request():
            rows = begun(kind)
            in_child(rows.close)
            if kind is not copies_in:
                assert sum(1 for _ in rows) == ROWS - 1
                rows = begun(kind)
            rows.close()


def a_child_leaves_its_parents_session_alone() -> None:
    with request():
        before = pid()

    def works() -> None:
        with request():
            assert pid() != before
        connections.close_all()

    for child in (works, lambda: None, connections.close_all):
        in_child(child)
    block = transaction.atomic()
    with request():
        assert pid() == before
        block.__enter__()
        write("of the parent")
        in_child(lambda: raised(Error, block.__exit__, None, None, None))
        write("still there")
        block.__exit__(None, None, None)
        assert pid() == before
    assert kept() == ["of the parent", "still there"]
    until(lambda: sessions() == {before})


def threads_do_not_share_a_session() -> None:
    def serves() -> int:
        with request():
            return pid()

    def dies() -> int:
        request_started.send(sender=None)
        transaction.atomic().__enter__()
        write("of the dead")
        return pid()

    with request():
        before = pid()
    assert in_thread(serves) == before  # between requests another thread may take it over
    with request():
        # A thread's end is its session's end; the process's one stays.
        assert (pid() == before) is (ENGINE == "global")
        before = pid()
        if ENGINE == "global":
            error = in_thread(serves)
            assert isinstance(error, SessionInUse)
            assert "persistent_threadlocal" in str(error)
        else:
            assert in_thread(serves) != before
    dead = in_thread(dies)
    until(lambda: dead not in sessions())
    with request():
        pid()
    assert kept() == []
    assert len(sessions()) == 1


STORIES: list[Callable[[], None]] = [
    reuses_one_session,
    replaces_a_dead_session_with_one_connect,
    a_farewell_that_came_with_the_answer_is_heard,
    leaves_no_state_to_the_next_request,
    ends_what_a_request_left_open,
    a_block_without_its_session_raises,
    a_swallowed_error_raises_where_the_block_is_left,
    commits_on_close_exactly_once_or_raises,
    a_lost_commit_raises_its_own_error,
    every_call_ends_at_its_deadline,
    a_copy_has_deadlines_for_its_waits_alone,
    a_slow_loop_over_rows_is_no_slow_query,
    attempts_to_connect_are_paced,
    errors_of_statements_keep_the_session_but_read_only_does_not,
    what_handlers_set_is_there_in_every_request,
    what_a_pooler_made_of_the_startup_packet_is_made_good,
    requests_over_asgi_reuse_sessions,
    aliases_keep_their_own_configuration,
    bounds_hold_where_options_leave_them_open,
    cursors_end_with_their_request,
    cursors_are_djangos_in_all_but_their_lease,
    the_first_error_of_a_cursor_in_the_server_is_told,
    another_thread_closes_no_cursor_beside_a_statement,
    a_cursor_that_is_collected_within_a_call_is_closed_after_it,
    a_cursor_that_another_thread_closes_harms_no_transaction,
    a_cursor_that_outlives_its_request_is_of_no_other_session,
    without_a_reset_a_cursor_is_closed_at_the_next_use,
    a_loop_left_early_does_not_stop_the_event_loop,
    another_thread_ends_no_copy,
    a_call_beside_a_copy_ends_it,
    a_copy_that_is_dropped_has_a_deadline,
    a_child_leaves_its_parents_copy_alone,
    a_child_leaves_its_parents_session_alone,
    threads_do_not_share_a_session,
]


def main() -> None:
    observe("DROP TABLE IF EXISTS story")
    observe("CREATE TABLE story (t text)")
    results = {}
    for story in STORIES:
        observe("TRUNCATE story")
        try:
            story()
            results[story.__name__] = "ok"
        except Exception:  # noqa: BLE001  # told to the test
            results[story.__name__] = traceback.format_exc()
        proxy.silent = proxy.refusing = proxy.holds_ends = False
        proxy.cut_at = None
        for each in connections.all(initialized_only=True):
            each.close_if_unusable_or_obsolete()
            each.close_if_unusable_or_obsolete()
        close_idle()
        until(lambda: not sessions())
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
