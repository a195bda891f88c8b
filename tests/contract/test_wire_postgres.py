"""The tap in front of a real server: it changes nothing, it writes down what passed, and its cuts land where they were
told to.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import psycopg2
import pytest
from psycopg.conninfo import make_conninfo

from lab.records.moment import NAMES
from lab.rig.embedded.rig import Rig
from lab.wire.journal import Act, Event, Message, Record
from lab.wire.rule import Rule
from lab.wire.tap import Tap, TapPort

DEADLINE = 10.0  # seconds; a passing test needs none of them
DRIVERS = [psycopg, psycopg2]
SLEEPS = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"


@pytest.fixture(scope="module")
def server(rig: Rig) -> Iterator[dict[str, str]]:
    """Parameters for a database of our own, straight to the server."""
    with rig.shared():
        with rig.postgres.connect() as control:
            control.execute("CREATE DATABASE tapped")
        yield {key: str(value) for key, value in rig.postgres.parameters(dbname="tapped").items()}
        with rig.postgres.connect() as control:
            control.execute("DROP DATABASE tapped WITH (FORCE)")


@pytest.fixture(scope="module")
def tap() -> Iterator[Tap]:
    with Tap() as tap:
        yield tap
        assert tap.failures == []


@pytest.fixture
def lined(tap: Tap, server: dict[str, str]) -> Iterator[Callable[..., TapPort]]:
    lines: list[TapPort] = []

    def open_line(*rules: str | Rule, way: str = "rst") -> TapPort:
        made = [rule if isinstance(rule, Rule) else Rule.parse(rule, way) for rule in rules]
        lines.append(tap.open((server["host"], int(server["port"])), rules=made))
        return lines[-1]

    yield open_line
    for line in lines:
        line.close()


@pytest.fixture
def dsn(server: dict[str, str]) -> Callable[[TapPort], str]:
    def of(line: TapPort) -> str:
        return make_conninfo("", **{**server, "port": str(line.port)})

    return of


@pytest.fixture
def table(server: dict[str, str]) -> Iterator[Callable[[], int]]:
    """A table called tapped with nothing in it; call it for the number of its rows, once no session but ours has it
    open.
    """
    with psycopg.connect(**server, autocommit=True) as direct:  # type: ignore[arg-type]
        direct.execute("DROP TABLE IF EXISTS tapped")
        direct.execute("CREATE TABLE tapped (value text)")

        def rows() -> int:
            # Waits for every transaction that touched the table to end: only then is the count the truth.
            with direct.transaction():
                direct.execute("LOCK TABLE tapped IN ACCESS EXCLUSIVE MODE")
                row = direct.execute("SELECT count(*) FROM tapped").fetchone()
            assert row is not None
            return int(row[0])

        yield rows
        direct.execute("DROP TABLE tapped")


def messages(line: TapPort) -> list[Message]:
    return [record for record in line.journal if isinstance(record, Message)]


def names(line: TapPort) -> list[str]:
    return [name for record in messages(line) for name in record.moments]


def insert_and_commit(module: object, dsn: str) -> str:
    """Insert a row in a transaction; "ok", or "lost" when the driver raised."""
    try:
        connection = module.connect(dsn)  # type: ignore[attr-defined]
    except module.OperationalError:  # type: ignore[attr-defined]
        return "lost"
    try:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO tapped VALUES (%s)", ["secret-row"])
        cursor.fetchone() if cursor.description else None
        connection.commit()
    except module.OperationalError:  # type: ignore[attr-defined]
        return "lost"
    finally:
        connection.close()
    return "ok"


@pytest.mark.parametrize("module", DRIVERS)
def test_a_transaction_and_its_journal(
    module: object, lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    line = lined()
    assert insert_and_commit(module, dsn(line)) == "ok"
    line.wait(lambda record: isinstance(record, Message) and record.name == "Terminate", DEADLINE)
    passed = names(line)
    story = [
        "startup", "auth", "password", "auth-ok", "key", "ready", "begin-sent", "begin-acked",
        "query-sent", "command-complete", "commit-sent", "commit-acked", "commit-ready", "terminate",
    ]  # fmt: skip
    places = [
        passed.index(name) if name != "command-complete" else passed.index(name, passed.index("query-sent"))
        for name in story
    ]
    assert places == sorted(places)
    assert table() == 1
    assert_offsets_are_sound(line)


def assert_offsets_are_sound(line: TapPort) -> None:
    """Ordinals count up, messages lie end to end, times do not go back."""
    at: dict[tuple[int, str], tuple[int, int]] = {}
    for record in messages(line):
        key = (record.connection, record.direction)
        ordinal, end = at.get(key, (0, 0))
        assert (record.ordinal, record.start) == (ordinal + 1, end)
        at[key] = (record.ordinal, record.start + record.length)
    times = [record.at_ns for record in line.journal]
    assert times == sorted(times)


@pytest.mark.parametrize("module", DRIVERS)
def test_nothing_that_anybody_said_is_in_the_journal(
    module: object,
    lined: Callable[..., TapPort],
    dsn: Callable[[TapPort], str],
    table: Callable[[], int],
    server: dict[str, str],
) -> None:
    line = lined()
    insert_and_commit(module, dsn(line))
    written = repr(line.journal)
    assert not re.search(rf"secret|tapped|{server['password']}", written)


def test_a_server_side_cursor_copy_and_notify(
    lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    line = lined()
    with psycopg.connect(dsn(line)) as connection:
        with connection.cursor("walker") as walker:
            walker.itersize = 10
            assert len(list(walker.execute("SELECT generate_series(1, 95)"))) == 95
        with connection.cursor().copy("COPY tapped FROM STDIN") as copy:
            for n in range(100):
                copy.write_row([f"{n}" * 1000])
        with connection.cursor().copy("COPY tapped TO STDOUT") as copy:
            assert sum(len(block) for block in copy) > 100_000
        connection.execute("LISTEN lab")
        connection.execute("NOTIFY lab")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        connection.rollback()
        connection.execute("DO $$ BEGIN RAISE NOTICE 'x'; END $$")
    passed = names(line)
    for name in (
        "copy-in",
        "copy-data",
        "copy-done",
        "copy-out",
        "first-row",
        "row",
        "error",
        "notice",
        "rollback-acked",
    ):
        assert name in passed, name
    assert [record.sqlstate for record in messages(line) if "error" in record.moments] == ["22012"]
    assert_offsets_are_sound(line)


def test_a_cancel_is_a_connection_of_its_own(
    lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], server: dict[str, str]
) -> None:
    line = lined()

    def cancel() -> None:
        # Passed is not executing: a cancel that overtakes its query is ignored, so ask the server when it sleeps.
        ends = time.monotonic() + DEADLINE
        with psycopg.connect(**server, autocommit=True) as control:  # type: ignore[arg-type]
            while time.monotonic() < ends and not control.execute(SLEEPS, [connection.info.backend_pid]).fetchone():
                pass
        # Not psycopg2's cancel, which waits with Python's lock held: the tap, in this same process, could not answer.
        connection.cancel_safe(timeout=DEADLINE)

    with psycopg.connect(dsn(line)) as connection:
        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")
        canceller.join()
    assert [record.connection for record in messages(line) if "cancel" in record.moments] == [2]


def test_many_rows_arrive_intact(lined: Callable[..., TapPort], dsn: Callable[[TapPort], str]) -> None:
    line = lined()
    with psycopg.connect(dsn(line)) as connection:
        rows = connection.execute("SELECT n, repeat('x', n % 500) FROM generate_series(1, 20000) n").fetchall()
    assert len(rows) == 20_000
    assert all(len(text) == n % 500 for n, text in rows)
    assert names(line).count("row") == 20_000


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_through_it(lined: Callable[..., TapPort], server: dict[str, str], protocol: str) -> None:
    program = shutil.which("pgbench")
    if program is None:
        pytest.skip("no pgbench on PATH")
    line = lined()
    environment = {
        **os.environ,
        "PGPASSWORD": server["password"],
        "PGSSLMODE": "disable",
        "PGGSSENCMODE": "disable",
    }
    there = [program, "-h", "127.0.0.1", "-p", str(line.port), "-U", server["user"]]
    done = subprocess.run(
        [*there, "-i", "-q", "-s", "1", server["dbname"]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [*there, "-n", "-c", "4", "-t", "50", "-M", protocol, server["dbname"]],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "processed: 200/200" in done.stdout
    passed = names(line)
    assert passed.count("commit-acked") >= 200
    assert passed.count("commit-sent") == passed.count("commit-acked") == passed.count("commit-ready")
    assert_offsets_are_sound(line)


@pytest.mark.parametrize("module", DRIVERS)
@pytest.mark.parametrize("way", ["fin", "rst"])
def test_every_byte_of_the_commit_window(
    module: object, way: str, lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    clean = lined()
    assert insert_and_commit(module, dsn(clean)) == "ok"
    window = {name: record.length for record in messages(clean) for name in record.moments}
    rows = table()
    for moment in ("commit-sent", "commit-acked", "commit-ready"):
        for byte in range(window[moment] + 1):
            line = lined(f"{moment}+{byte}", way=way)
            ending = insert_and_commit(module, dsn(line))
            (act,) = line.landed
            assert (act.byte, moment in act.moments) == (byte, True)
            arrived = moment != "commit-sent" or byte == window[moment]
            acknowledged = moment == "commit-ready" and byte == window[moment]
            now = table()
            assert (now - rows, ending) == (int(arrived), "ok" if acknowledged else "lost"), str(act)
            rows = now
            line.close()


IN_A_TRANSACTION = [
    "startup", "auth", "password", "auth-ok", "parameter", "key", "ready", "begin-sent", "begin-acked", "query-sent",
    "command-complete", "commit-sent", "commit-acked", "commit-ready",
]  # fmt: skip


@pytest.mark.parametrize("way", ["fin", "rst"])
@pytest.mark.parametrize("byte", [0, 1, None])
@pytest.mark.parametrize("name", IN_A_TRANSACTION)
def test_every_named_moment_of_a_transaction_lands(
    name: str,
    byte: int | None,
    way: str,
    lined: Callable[..., TapPort],
    dsn: Callable[[TapPort], str],
    table: Callable[[], int],
) -> None:
    line = lined(name if byte is None else f"{name}+{byte}", way=way)
    ending = insert_and_commit(psycopg2, dsn(line))
    (act,) = line.landed
    assert name in act.moments
    assert ending == ("ok" if (name, byte) == ("commit-ready", None) else "lost")
    after = [r for r in line.journal if isinstance(r, Message) and r.at_ns > act.at_ns]
    assert after == []
    assert table() == int(reached(name, byte))


def reached(name: str, byte: int | None) -> bool:
    """Whether the whole COMMIT reaches the server before a cut there."""
    place = IN_A_TRANSACTION.index(name)
    return place > IN_A_TRANSACTION.index("commit-sent") or (name, byte) == ("commit-sent", None)


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("first-row", "SELECT 1"),
        ("row:2", "SELECT generate_series(1, 3)"),
        ("row-description", "SELECT 1"),
        ("error", "SELECT 1/0"),
        ("notice", "DO $$ BEGIN RAISE NOTICE 'x'; END $$"),
        ("savepoint-sent", "SAVEPOINT x"),
        ("rollback-sent", "ROLLBACK"),
        ("rollback-acked", "ROLLBACK"),
        ("rollback-ready+0", "ROLLBACK"),
        ("notification", "LISTEN x; NOTIFY x; COMMIT"),
        ("prepared-sent", "PREPARE TRANSACTION 'x'"),
        ("copy-out", "COPY (SELECT 1) TO STDOUT"),
    ],
)
def test_other_moments_land(name: str, sql: str, lined: Callable[..., TapPort], dsn: Callable[[TapPort], str]) -> None:
    line = lined(name)
    connection = psycopg2.connect(dsn(line))
    with pytest.raises(psycopg2.DatabaseError):
        execute_two(connection, sql)
    connection.close()
    assert [act.moment for act in line.landed] == [name]


def execute_two(connection: psycopg2.extensions.connection, sql: str) -> None:
    """One statement, and another for those cuts that let the first one through."""
    if sql.startswith("COPY"):
        connection.cursor().copy_expert(sql, io.StringIO())
    connection.cursor().execute(sql)
    connection.cursor().execute("SELECT 1")


def test_terminate_lands(lined: Callable[..., TapPort], dsn: Callable[[TapPort], str]) -> None:
    line = lined("terminate+0")
    psycopg2.connect(dsn(line)).close()
    line.wait(lambda record: isinstance(record, Act), DEADLINE)


def test_a_commit_whose_reply_is_dropped_has_happened(
    lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    line = lined("commit-sent", way="drop-reply")
    ended: list[str] = []
    client = threading.Thread(target=lambda: ended.append(insert_and_commit(psycopg2, dsn(line))))
    client.start()
    line.wait(
        lambda record: isinstance(record, Message) and "commit-ready" in record.moments and record.dropped, DEADLINE
    )
    assert table() == 1
    assert ended == []
    line.act("rst")
    client.join(DEADLINE)
    assert ended == ["lost"]


def test_a_stalled_commit_goes_on(
    lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    line = lined("commit-sent+3", way="stall")
    ended: list[str] = []
    client = threading.Thread(target=lambda: ended.append(insert_and_commit(psycopg, dsn(line))))
    client.start()
    line.wait(landed, DEADLINE)
    line.resume()
    client.join(DEADLINE)
    assert (ended, table()) == (["ok"], 1)


def landed(record: Record) -> bool:
    return isinstance(record, Act)


@pytest.mark.parametrize("module", DRIVERS)
def test_everything_in_single_bytes(
    module: object, lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    line = lined("connect", way="split")
    assert insert_and_commit(module, dsn(line)) == "ok"
    assert table() == 1


def test_the_commit_of_a_second_connection(
    lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    line = lined("c2:commit-acked+0")
    assert [insert_and_commit(psycopg2, dsn(line)) for _ in range(3)] == ["ok", "lost", "ok"]
    assert table() == 3


def test_a_commit_by_extended_query_is_found(
    lined: Callable[..., TapPort], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    line = lined("commit-sent+0")
    with psycopg.connect(dsn(line), autocommit=True) as connection:
        connection.execute("BEGIN", prepare=True)
        connection.execute("INSERT INTO tapped VALUES ('x')")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("COMMIT", prepare=True)
    assert [act.message for act in line.landed] == ["Execute"]
    assert table() == 0


def test_a_declined_ssl_request_is_two_messages(lined: Callable[..., TapPort], dsn: Callable[[TapPort], str]) -> None:
    line = lined()
    with psycopg.connect(dsn(line).replace("sslmode=disable", "sslmode=prefer")) as connection:
        connection.execute("SELECT 1")
    assert names(line)[:3] == ["encryption-asked", "encryption-answered", "startup"]


def test_what_toxiproxy_does_to_the_connection_reaches_the_client_unchanged(
    rig: Rig, tap: Tap, server: dict[str, str], dsn: Callable[[TapPort], str], table: Callable[[], int]
) -> None:
    for armed, seen in ((False, "fin"), (True, "rst")):
        with rig.proxy(f"tapped-{seen}") as proxy, tap.open(("127.0.0.1", proxy.port)) as line:
            if armed:
                proxy.arm_reset()
            connection = psycopg.connect(dsn(line), autocommit=True)
            connection.execute("INSERT INTO tapped VALUES ('x')")
            proxy.cut()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            connection.close()
            ended = line.wait(lambda record: isinstance(record, Event) and record.side == "server", DEADLINE)
            assert isinstance(ended, Event)
            assert ended.event == seen
    assert table() == 2


def test_every_name_is_one_that_something_can_reach() -> None:
    assert set(IN_A_TRANSACTION) < set(NAMES)
