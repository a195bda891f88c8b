"""PostgreSQL of the rig: its content, its ways in, its ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg2
import pytest

from lab import timing
from lab.application.server import OwnServer
from lab.errors import ServerNotReady
from lab.rig.embedded import postgres
from lab.rig.embedded.rig import Rig
from lab.rig.machine import process
from lab.rig.postgres import binaries, settings
from lab.rig.postgres.connection import OwnConnection, accepts


def count(rig: Rig, plan: str) -> int:
    row = rig.control().execute("SELECT count(*) FROM lab.token WHERE plan = %s", [plan]).fetchone()
    assert row
    return int(row[0])


def write(connection: OwnConnection, plan: str, gate: int | None = None) -> None:
    connection.execute("INSERT INTO lab.token (plan, token, gate) VALUES (%s, 't', %s)", [plan, gate])


def test_only_loopback_and_password_let_in(rig: Rig) -> None:
    with pytest.raises(ServerNotReady, match="password authentication failed"):
        rig.postgres.connect(password="wrong")
    question = "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
    assert rig.control().execute(question).fetchone() == ("127.0.0.1", "")


def test_seat_has_two_users_and_a_common_role(rig: Rig) -> None:
    with rig.shared(), rig.seat() as seat:
        for user in (seat.name, seat.second):
            for dbname in ("lab", "lab2"):
                with rig.postgres.connect(dbname, user) as connection:
                    connection.execute("SET ROLE lab_other")
                    connection.execute("INSERT INTO lab.counter VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = 2")
                    session = connection.execute("SELECT lab.session()").fetchone()
                    assert session
                    assert session[0].startswith(f"{connection.info.backend_pid}@1")


def test_seats_are_given_once(rig: Rig) -> None:
    with rig.seat() as first, rig.seat() as second:
        assert first.name != second.name


def test_gate_holds_a_commit_inside_the_server(rig: Rig) -> None:
    with rig.shared(), rig.postgres.connect(user="lab_s00") as connection:
        rig.control().execute("SELECT pg_advisory_lock(4711)")
        connection.execute("BEGIN")
        write(connection, "gate", 4711)
        commit = threading.Thread(target=connection.execute, args=["COMMIT"])
        commit.start()
        waiting = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        until = time.monotonic() + 5
        while not rig.control().execute(waiting, [connection.info.backend_pid]).fetchone():
            assert time.monotonic() < until
        assert count(rig, "gate") == 0
        rig.control().execute("SELECT pg_advisory_unlock(4711)")
        commit.join()
        assert count(rig, "gate") == 1


@pytest.mark.parametrize("how", ["crash", "fast", "immediate"])
def test_acknowledged_rows_survive(rig: Rig, how: str) -> None:
    with rig.exclusive():
        number, before = rig.postgres.port, rig.postgres.generation
        with rig.postgres.connect(user="lab_s00") as connection:
            for _ in range(50):
                write(connection, how)
            if how == "crash":
                rig.postgres.crash()
            elif how == "fast":
                rig.postgres.restart("fast")
            else:
                rig.postgres.restart("immediate")
            with pytest.raises(psycopg2.OperationalError):
                connection.execute("SELECT 1")
        assert count(rig, how) == 50
        assert (rig.postgres.port, rig.postgres.generation) == (number, before + 1)


def test_crash_with_a_frozen_session_comes_back(rig: Rig) -> None:
    assert timing.CHILD_GRACE.shipped == 2.0
    with rig.exclusive(), rig.postgres.connect() as connection:
        assert rig.postgres.signal_backend(connection.info.backend_pid, signal.SIGSTOP)
        rig.postgres.crash()
        assert count(rig, "frozen") == 0


def test_fast_stop_with_a_frozen_session_is_said_to_have_failed(rig: Rig) -> None:
    with rig.exclusive(), rig.postgres.connect() as connection:
        assert rig.postgres.signal_backend(connection.info.backend_pid, signal.SIGSTOP)
        assert rig.postgres.restart("fast", timeout=0.3) is False
        assert count(rig, "frozen") == 0


def test_server_accepts_sessions_or_does_not(rig: Rig) -> None:
    """As pg_isready says it: without a password, and not while it shuts down, though it answers."""

    def ready() -> bool:
        return accepts(rig.host, rig.postgres.port, "postgres", "template1", 2.0)

    with rig.exclusive():
        assert ready()
        try:
            with rig.postgres.connect():
                os.kill(rig.postgres.pid, signal.SIGTERM)  # smart: it waits for this session, and lets no other in
                assert process.wait_until(lambda: not ready(), 5.0)
                with pytest.raises(ServerNotReady, match="shutting down"):
                    rig.postgres.connect()
            assert rig.postgres.stop("fast")
            assert not ready()
        finally:
            rig.postgres.start()
        assert ready()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PGHOSTADDR", "127.0.0.2"),
        ("PGSERVICE", "nosuch"),
        ("PGREQUIREAUTH", "md5"),
        ("PGTARGETSESSIONATTRS", "standby"),
    ],
)
def test_own_connections_go_nowhere_else_whatever_the_environment_says(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """PGHOSTADDR led each of them to that address, whatever host was asked for."""
    monkeypatch.setenv(name, value)
    with rig.shared(), rig.postgres.connect() as connection:
        assert connection.execute("SELECT host(inet_server_addr())").fetchone() == (rig.host,)
    assert subprocess.check_output(["printenv", name], text=True).strip() == value  # it is the caller's again


def test_own_connections_are_in_autocommit_and_end_with_their_block(rig: Rig) -> None:
    with rig.shared(), rig.postgres.connect() as connection:
        state = "SELECT state FROM pg_stat_activity WHERE pid = %s"
        connection.execute("SELECT '100%'")
        assert rig.control().execute(state, [connection.info.backend_pid]).fetchone() == ("idle",)
    assert connection.closed


def test_control_survives_the_death_of_its_session(rig: Rig) -> None:
    with rig.exclusive():
        lost = rig.control()
        with rig.postgres.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s, 2000)", [lost.info.backend_pid])
        assert rig.control() is not lost
        assert rig.control().execute("SELECT 1").fetchone() == (1,)
        lost.close()


def test_control_of_each_thread_is_its_own(rig: Rig) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(rig.control().info.backend_pid))
    thread.start()
    thread.join()
    assert found != [rig.control().info.backend_pid]


def test_server_started_by_a_thread_outlives_it(rig: Rig) -> None:
    # The kernel's parent-death signal counts threads: the one that forks must not end.
    with rig.exclusive():
        thread = threading.Thread(target=rig.postgres.restart)
        thread.start()
        thread.join()
        time.sleep(0.05)
        assert rig.postgres.postmaster.running()
        assert count(rig, "thread") == 0


def test_control_gets_in_when_all_slots_are_taken(rig: Rig) -> None:
    with rig.exclusive():
        with rig.server.fill() as held:
            assert held > 50
            with pytest.raises(ServerNotReady, match=r"remaining connection slots|too many"):
                rig.postgres.connect(user="lab_s00")
            rig.postgres.connect().close()
        until = time.monotonic() + 5
        while True:
            try:
                rig.postgres.connect(user="lab_s00").close()
                break
            except ServerNotReady:
                assert time.monotonic() < until


def test_setting_holds_for_the_block(rig: Rig) -> None:
    def value() -> str:
        with rig.postgres.connect() as connection:
            row = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
            assert row
            return str(row[0])

    with rig.exclusive():
        with rig.server.setting("idle_in_transaction_session_timeout", "20ms"):
            assert value() == "20ms"
        assert value() == "0"


def test_nobody_elses_process_is_signalled(rig: Rig) -> None:
    assert rig.postgres.signal_backend(os.getpid(), signal.SIGKILL) is False
    assert rig.postgres.signal_backend(rig.postgres.pid, signal.SIGKILL) is False
    assert rig.postgres.signal_backend(2**22 - 1, signal.SIGKILL) is False


def test_log_slice_tells_what_happened_meanwhile(rig: Rig) -> None:
    start = rig.postgres.log_offset()
    rig.postgres.connect(user="lab_s00", application_name="lab-log").close()
    # The end of another test's session may be told in between: ours is known by its name.
    ours = re.compile(r"user=lab_s00 db=lab app=lab-log LOG: +disconnection")
    until = time.monotonic() + 5
    while not ours.search(said := rig.postgres.log_slice(start)):
        assert time.monotonic() < until, said


def test_password_is_asked_for(rig: Rig) -> None:
    with pytest.raises(ServerNotReady, match="password"):
        rig.postgres.connect(user="lab_s39b", password="another")
    rig.postgres.connect(user="lab_s39b").close()


def test_reserved_slots_are_as_shipped() -> None:
    assert (postgres.MAX_CONNECTIONS, settings.RESERVED_SLOTS) == (100, 16)


def test_a_small_installation_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Embedded distributions have `postgres`, `initdb` and little else."""
    whole = binaries.find().bindir
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name in ("postgres", "initdb"):
            Path(folder, name).symlink_to(whole / name)
        monkeypatch.setenv("LAB_PG_BINDIR", folder)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        server = OwnServer()
        try:
            assert server.where["port"]
        finally:
            server.close()
