"""What server faults do, seen by the clients' error codes, the kernel and the server itself."""

from __future__ import annotations

import os
import signal
import time
from typing import Literal

import psycopg
import psycopg2.errors
import pytest

from faults.client.interrupt import Interrupt
from faults.network.refuse import Refuse
from faults.network.sever_fin import SeverFin
from faults.server.crash import Crash
from faults.server.fill_slots import FillSlots
from faults.server.freeze import Freeze
from faults.server.idle_timeout import IdleInTransactionTimeout
from faults.server.restart import Restart
from faults.server.terminate import Terminate
from fix_fault import OpenLine, within
from lab.errors import ServerNotReady
from lab.fault import Fault
from lab.rig.machine import process

STATE = "SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"


@pytest.mark.parametrize(
    ("scope", "ended"), [("all", [True, True]), ("oldest", [True, False]), ("newest", [False, True])]
)
def test_terminate_ends_those_it_names(
    scope: Literal["all", "oldest", "newest"], ended: list[bool], open_line: OpenLine
) -> None:
    line = open_line()
    sessions = [line.session(), line.session()]
    pids = [session.info.backend_pid for session in sessions]
    with Terminate(scope=scope).strike(line.site) as seen:
        sighting = line.sight(seen)
        assert sighting is not None
        assert [any(each.startswith(f"{pid}@") for each in sighting.struck) for pid in pids] == ended
    for session, gone in zip(sessions, ended, strict=True):
        try:
            session.execute("SELECT 1")
        except psycopg.errors.AdminShutdown:
            assert gone
        else:
            assert not gone
        session.close()


@pytest.mark.parametrize(
    "fault", [SeverFin(), Terminate(), Freeze(), Interrupt(), IdleInTransactionTimeout(timeout_ms=1)]
)
def test_fault_with_nobody_to_strike_is_not_seen(fault: Fault, open_line: OpenLine) -> None:
    line = open_line()
    with fault.strike(line.site) as seen:
        assert line.sight(seen, 0.1) is None


@pytest.mark.parametrize("fault", [Restart(mode="fast"), Restart(mode="immediate"), Crash()])
def test_restart_without_sessions_strikes_none(fault: Fault, open_line: OpenLine) -> None:
    line = open_line()
    epoch = line.site.server.epoch()
    with fault.strike(line.site) as seen:
        sighting = line.sight(seen)
    assert sighting is not None
    assert sighting.struck == ()
    assert line.site.server.epoch() != epoch


@pytest.mark.parametrize(("fault", "told"), [(Restart(mode="fast"), True), (Restart(mode="immediate"), False)])
def test_restart_tells_sessions_what_its_mode_says(fault: Fault, told: bool, open_line: OpenLine) -> None:
    """By psycopg 3: psycopg2 hides what the server says to a session that is idle."""
    line = open_line()
    with line.session() as session, fault.strike(line.site) as seen:
        assert line.sight(seen)
        with pytest.raises(psycopg.OperationalError) as error:
            session.execute("SELECT 1")
        assert isinstance(error.value, psycopg.errors.AdminShutdown) == told


@pytest.mark.parametrize("fault", [Restart(mode="fast"), Restart(mode="immediate"), Crash()])
def test_restart_loses_nothing_that_was_acknowledged(fault: Fault, open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    line.client.ok("write", token="kept", by="")
    line.client.ok("leave")
    line.client.ok("enter")
    line.client.ok("write", token="not yet", by="")
    with fault.strike(line.site) as seen:
        assert line.sight(seen)
    found = "DELETE FROM lab.token WHERE token IN ('kept', 'not yet') RETURNING token"
    assert line.rig.control().execute(found).fetchall() == [("kept",)]


def test_frozen_session_keeps_its_locks_and_goes_on(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    line.client.ok("sql", text="LOCK TABLE lab.counter")
    (session,) = line.site.sessions()
    with Freeze().strike(line.site) as seen:
        assert line.sight(seen)
        line.client.send("read", nonce="late")
        assert line.client.quiet(0.2)
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            line.rig.control().execute("DO $$ BEGIN LOCK TABLE lab.counter NOWAIT; END $$")
    assert line.client.answer(1.0)["value"]["nonce"] == "late"
    assert not line.site.server.stopped(session.pid)


def test_freezing_the_frozen_is_not_seen_and_does_not_thaw_them(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    (session,) = line.site.sessions()
    with Freeze().strike(line.site) as seen:
        assert line.sight(seen)
        with Freeze().strike(line.site) as again:
            assert line.sight(again, 0.05) is None
        assert line.site.server.stopped(session.pid)


def test_frozen_session_that_was_terminated_ends_when_thawed(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    with Freeze().strike(line.site) as seen:
        assert line.sight(seen)
        with Terminate().strike(line.site) as ended:
            assert line.sight(ended, 0.05) is None  # it cannot end yet
    assert line.sight(ended)
    line.as_before()


def test_frozen_session_thaws_without_its_line(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    with Freeze().strike(line.site) as seen, Refuse().strike(line.site) as refused:
        assert line.sight(seen)
        assert line.sight(refused)
    line.as_before()


@pytest.mark.parametrize(("fault", "seen"), [(Crash(), True), (Restart(mode="fast"), False)])
def test_server_with_a_frozen_session_can_be_ended(fault: Fault, seen: bool, open_line: OpenLine) -> None:
    """Held at a gate as well. A fast stop waits for it until the server is killed, which is then no fast stop."""
    line = open_line()
    line.client.connect()
    line.site.lock([7])
    line.client.send("read", gate=7)
    assert line.client.quiet(0.05)
    with Freeze().strike(line.site) as frozen:
        assert line.sight(frozen)
        with within(12.0), fault.strike(line.site) as ended:
            sighting = line.sight(ended, 0.2)
    assert (sighting is not None) == seen
    assert line.client.answer(2.0)["ending"] == "error"
    line.as_before()


def test_orphan_of_a_killed_postmaster_is_thawed(open_line: OpenLine) -> None:
    """Else it would keep the shared memory, and no successor could start."""
    line = open_line()
    line.client.connect()
    (session,) = line.site.sessions()
    with Freeze().strike(line.site) as seen:
        assert line.sight(seen)
        kill_postmaster(line.rig.postgres.pid)
    assert process.wait_until(lambda: not line.site.server.stopped(session.pid), 2.0)
    with within(10.0):
        line.recover()
    line.as_before()


def kill_postmaster(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)  # its children notice


def test_full_server_refuses_ordinary_roles_and_admits_the_lab(open_line: OpenLine) -> None:
    line = open_line()
    with FillSlots().strike(line.site) as seen:
        assert line.sight(seen)
        with pytest.raises(psycopg.OperationalError, match="connection slots are reserved"):
            line.session()
        line.rig.postgres.connect().close()
        line.client.ok("begin")
        assert line.client.do("read")["ending"] == "error"
    with within(1.0):
        line.session().close()


def test_slots_that_are_free_again_are_not_seen_as_full(open_line: OpenLine) -> None:
    line = open_line()
    session = line.session()
    with FillSlots().strike(line.site) as seen:
        session.close()
        assert process.wait_until(lambda: seen() is None, 2.0)


def test_idle_transaction_is_ended_with_its_code(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    (session,) = line.site.sessions()
    with IdleInTransactionTimeout(timeout_ms=30).strike(line.site) as seen:
        assert line.sight(seen, 0.1) is None  # it takes the setting with its next statement
        line.client.ok("read")
        sighting = line.sight(seen)
        assert sighting is not None
        assert sighting.struck == (session.id,)
        other = line.session()
        other.execute("BEGIN")
        time.sleep(0.1)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            other.execute("SELECT 1")


def test_idle_transaction_that_its_client_ends_is_not_seen(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    with IdleInTransactionTimeout(timeout_ms=5000).strike(line.site) as seen:
        line.client.ok("read")
        assert seen() is None
        line.client.disconnect()
        assert line.sight(seen, 0.1) is None


def test_setting_does_not_survive_a_server_that_was_lost(open_line: OpenLine) -> None:
    line = open_line()
    fault = IdleInTransactionTimeout(timeout_ms=20)
    with pytest.raises(ServerNotReady), fault.strike(line.site):
        kill_postmaster(line.rig.postgres.pid)
    line.recover()
    assert line.rig.control().execute(STATE).fetchone() == ("0",)
    line.as_before()


def test_server_restarted_by_somebody_else_voids_the_plan(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    line.rig.postgres.restart("fast")
    with pytest.raises(ServerNotReady, match="somebody else"):
        line.site.clear()
    line.recover()


def test_interrupt_counts_only_what_comes_after_it(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    for _ in range(2):
        line.client.send("sql", text="SELECT pg_sleep(0.1)")
        time.sleep(0.02)
        with Interrupt().strike(line.site) as seen:
            assert line.sight(seen)
        line.client.answer()
        with Interrupt().strike(line.site) as nobody:
            assert line.sight(nobody, 0.05) is None
        line.client.connect()


def test_a_server_without_a_slot_left_gives_no_greeting_and_the_fault_says_so(open_line: OpenLine) -> None:
    """Other plans may have all slots: the run is void then, and not the end of the check."""
    line = open_line()
    assert line.site.greeting() > 100
    with line.site.server.fill(), pytest.raises(ServerNotReady, match="no session of its own"):
        line.site.greeting()
