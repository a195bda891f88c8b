"""The tap in a process of its own, before a real PostgreSQL."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from lab.errors import BadInput, LabError
from lab.rig.base import BaseRig
from lab.rig.embedded.rig import Rig
from lab.wire.journal import Act, Event, Message, Record
from lab.wire.remote import RemotePort, TapProcess
from lab.wire.rule import Rule

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tap() -> Iterator[TapProcess]:
    with TapProcess() as made:
        yield made
        assert made.failures() == []


def connect(rig: BaseRig, port: RemotePort) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host="127.0.0.1", port=port.port, user="postgres", password=rig.postgres.password, dbname="lab",
        autocommit=True, sslmode="disable", gssencmode="disable",
    )  # fmt: skip


def test_rule_lands_and_the_journal_says_where(rig: BaseRig, tap: TapProcess) -> None:
    with tap.open(("127.0.0.1", rig.postgres.port), [Rule.parse("c1:ready:2+0", "fin")]) as port:
        connection = connect(rig, port)
        pid = connection.info.backend_pid
        with connection, pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        act = port.wait(lambda record: isinstance(record, Act), 5.0)
        assert isinstance(act, Act)
        assert (act.way, act.moment, act.message) == ("fin", "c1:ready:2+0", "ReadyForQuery")
        assert act.pid == pid
        journal = port.journal()
        assert [each.verb for each in journal if isinstance(each, Message) and each.moments[:1] == ("query-sent",)]
        assert abs(act.at_ns / 1e9 - time.monotonic()) < 60  # one clock on both sides


def test_held_step_is_pushed_and_passes_when_it_is_let_go(rig: BaseRig, tap: TapProcess) -> None:
    heard: queue.SimpleQueue[Record] = queue.SimpleQueue()
    hold = Rule.parse("step-begun+0", "stall", "server", repeat=True)
    with tap.open(("127.0.0.1", rig.postgres.port), [hold], push=True, sink=heard.put) as port:
        program = (
            "import psycopg, sys\n"
            "with psycopg.connect(sys.argv[1]) as c:\n"
            "    c.execute('CREATE TEMP TABLE t (n int)')\n"
            "    c.execute('INSERT INTO t VALUES (%s)', [1])\n"
        )
        dsn = psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=port.port, user="postgres", password=rig.postgres.password, dbname="lab",
            sslmode="disable", gssencmode="disable",
        )  # fmt: skip
        child = subprocess.Popen([sys.executable, "-c", program, dsn])
        verbs = []
        while True:
            record = heard.get(timeout=20)
            if isinstance(record, Act):
                verbs.append((record.verb, record.message))
                port.resume(record.connection)
            elif isinstance(record, Event) and record.event == "closed":
                break
        assert child.wait(20) == 0
        # BEGIN passes: it takes no snapshot. With parameters, Parse is held and not Execute.
        assert verbs == [("CREATE", "Query"), ("INSERT", "Parse"), ("COMMIT", "Query")]


def test_server_behind_a_unix_socket(tap: TapProcess) -> None:
    class SocketRig(Rig):
        control_socket = True

    with SocketRig() as rig:
        path = f"{rig.postgres.way}/.s.PGSQL.{rig.postgres.port}"
        with tap.open(path) as port, connect(rig, port) as connection:
            assert connection.execute("SELECT inet_client_addr()").fetchone() == (None,)


def test_unknown_server_is_one_clear_line(tap: TapProcess) -> None:
    with pytest.raises(LabError, match="no address for"):
        tap.open(("no.such.host.invalid", 5432))


def test_calls_to_a_dead_tap_fail_at_once() -> None:
    with TapProcess() as tap:
        port = tap.open(("127.0.0.1", 1))
        os.kill(tap.pid, signal.SIGKILL)
        with pytest.raises(LabError, match="the wire tap's process has ended"):
            port.journal()


@pytest.mark.parametrize("fork", [False, True])
def test_tap_ends_when_its_parent_is_killed(fork: bool) -> None:
    # A forked copy of the parent holds the pipe open, and must not keep the tap alive.
    program = (
        "import os, time\n"
        "from lab.wire.remote import TapProcess\n"
        "tap = TapProcess().start()\n"
        "tap.open(('127.0.0.1', 1))\n"
        f"copy = os.fork() if {fork} else -1\n"
        "if copy == 0: time.sleep(60)\n"
        "print(tap.pid, copy, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    pid, copy = map(int, child.stdout.readline().split())
    tap = psutil.Process(pid)
    child.kill()
    child.wait()
    tap.wait(10)
    if fork:
        os.kill(copy, signal.SIGKILL)
    child.stdout.close()


def test_bad_rule_is_bad_input() -> None:
    with pytest.raises(BadInput):
        Rule.parse("step-begun+", "stall")
