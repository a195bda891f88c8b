"""What network faults do, seen from elsewhere: bare sockets, the kernel's table, the server's view, a clock."""

from __future__ import annotations

import errno
import socket
import time
from typing import Literal

import psycopg
import pytest

from faults.network.bandwidth import Bandwidth
from faults.network.black_hole import BlackHole
from faults.network.latency import Latency
from faults.network.limit_data import LimitData
from faults.network.refuse import Refuse
from faults.network.sever_fin import SeverFin
from faults.network.sever_rst import SeverRst
from faults.network.slicer import Slicer
from faults.network.stall import Stall
from faults.wire.cut_fin import CutFin
from faults.wire.cut_rst import CutRst
from fix_fault import Line, OpenLine
from lab.errors import ProxyLost
from lab.fault import Fault
from lab.records.words import Direction
from lab.rig.machine import process
from lab.rig.toxiproxy.api import Transport

BUSY = "SELECT pg_sleep(10)"


def ending(session: psycopg.Connection[tuple[object, ...]]) -> str:
    """How a connection ended, by what the kernel tells whoever reads from it."""
    bare = socket.socket(fileno=socket.dup(session.fileno()))
    with bare:
        bare.settimeout(2.0)
        try:
            return "fin" if bare.recv(1) == b"" else "data"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "mid-query"])
@pytest.mark.parametrize(("fault", "expected"), [(SeverFin(), "fin"), (SeverRst(), "ECONNRESET")])
def test_severed_connection_ends_as_named(fault: Fault, expected: str, busy: bool, open_line: OpenLine) -> None:
    line = open_line(fault)
    session = line.session()
    if busy:
        session.pgconn.send_query(BUSY.encode())
        time.sleep(0.02)
    with fault.strike(line.site) as seen:
        assert line.sight(seen)
        assert ending(session) == expected
        line.raw().close()
    session.close()


@pytest.mark.parametrize("cut", [CutFin, CutRst])
def test_a_cut_on_the_clients_side_leaves_the_server_its_session_until_the_heal(
    cut: type[CutFin | CutRst], open_line: OpenLine
) -> None:
    fault = cut(moment="query-sent+0", sides="client")
    line = open_line(fault)
    session = line.session()
    pid = session.info.backend_pid
    with fault.strike(line.site) as seen:
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        assert line.sight(seen)
        assert [each.pid for each in line.site.sessions() if each.state == "idle"] == [pid]
    process.wait_until(lambda: not line.site.sessions(), 3.0)
    session.close()


def test_rst_reaches_a_client_in_a_query_at_once(open_line: OpenLine) -> None:
    line = open_line(SeverRst())
    line.client.connect()
    line.client.send("sql", text=BUSY)
    time.sleep(0.05)
    with SeverRst().strike(line.site) as seen:
        sighting = line.sight(seen)
        assert sighting is not None
        assert len(sighting.struck) == 1
        assert line.client.answer(1.0)["ending"] == "error"


@pytest.mark.parametrize("fault", [SeverFin(), SeverRst()])
def test_sever_with_none_but_stale_sockets_is_not_seen(fault: Fault, open_line: OpenLine) -> None:
    line = open_line(fault)
    line.client.connect()
    line.site.link.cut()
    with fault.strike(line.site) as seen:
        assert line.sight(seen, 0.1) is None


def test_sever_fin_on_a_line_armed_for_rst_is_not_seen(open_line: OpenLine) -> None:
    line = open_line(SeverFin(), SeverRst())
    line.client.connect()
    with SeverFin().strike(line.site) as seen:
        assert line.sight(seen, 0.1) is None


def test_sever_rst_on_a_line_that_was_not_armed_is_not_seen(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    with SeverRst().strike(line.site) as seen:
        assert line.sight(seen, 0.1) is None


def test_sever_during_refusal_does_not_open_the_door(open_line: OpenLine) -> None:
    line = open_line()
    with Refuse().strike(line.site) as refused, SeverFin().strike(line.site):
        assert refused()


@pytest.mark.parametrize(("stream", "arrives"), [("both", False), ("upstream", False), ("downstream", True)])
def test_black_hole_swallows_and_ends_nothing(
    stream: Literal["both", "upstream", "downstream"], arrives: bool, open_line: OpenLine
) -> None:
    line = open_line()
    line.client.connect()
    line.client.ok("leave")
    before = line.established()
    with BlackHole(stream=stream).strike(line.site) as seen:
        assert line.sight(seen)
        line.client.send("write", token=stream, by="")
        assert line.client.quiet(0.3)
        assert line.established() == before
        held = line.rig.control().execute("SELECT count(*) FROM lab.token WHERE token = %s", (stream,)).fetchone()
        assert held == (int(arrives),)
    assert line.client.answer(1.0)["ending"] == "error"
    line.rig.control().execute("DELETE FROM lab.token WHERE token = %s", (stream,))


def test_black_hole_is_not_seen_when_the_server_is_silent_anyway(open_line: OpenLine) -> None:
    line = open_line()
    with BlackHole().strike(line.site), BlackHole().strike(line.site) as again:
        assert again() is None


@pytest.mark.parametrize(
    ("fault", "query", "least"),
    [
        (Latency(latency_ms=150), "SELECT 1", 0.15),
        (Latency(latency_ms=150, jitter_ms=50), "SELECT 1", 0.1),
        (Bandwidth(rate_kbps=1), f"SELECT '{'x' * 200}'", 0.2),
        (Bandwidth(rate_kbps=20), f"SELECT '{'x' * 4000}'", 0.2),
        (Slicer(size=1, delay_us=1000), f"SELECT '{'x' * 100}'", 0.1),
        (Slicer(size=20, delay_us=20_000), f"SELECT '{'x' * 100}'", 0.08),
    ],
)
def test_slow_line_delays_connections_that_are_there(
    fault: Fault, query: str, least: float, open_line: OpenLine
) -> None:
    line = open_line()
    line.client.connect()
    with fault.strike(line.site) as seen:
        assert line.sight(seen)
        begun = time.monotonic()
        line.client.ok("sql", text=query)
        assert least <= time.monotonic() - begun < least + 2.0


def test_latency_adds_to_latency(open_line: OpenLine) -> None:
    line = open_line()
    latency = Latency(latency_ms=50)
    with latency.strike(line.site) as first:
        assert line.sight(first)
        with latency.strike(line.site) as second:
            assert line.sight(second)


@pytest.mark.parametrize("stream", ["downstream", "upstream"])
@pytest.mark.parametrize("limit", [0, 1, 7, 150, 1000])
def test_limit_passes_exactly_so_many_bytes(limit: int, stream: Direction, open_line: OpenLine) -> None:
    line = open_line()
    session = line.session()
    backend = session.info.backend_pid
    with LimitData(limit_bytes=limit, stream=stream).strike(line.site) as seen:
        if stream == "downstream":
            session.pgconn.send_query(b"SELECT repeat('x', 2000)")
            assert received(session) == limit
        else:
            # What the server gets of a statement that is cut short is never executed.
            session.pgconn.send_query(f"SELECT '{'x' * 2000}', set_config('lab.met', 'yes', false)".encode())
            assert received(session) == 0
        sighting = line.sight(seen)
        assert sighting is not None
        assert sighting.struck[0].startswith(f"{backend}@")
    session.close()


@pytest.mark.parametrize("stream", ["downstream", "upstream"])
@pytest.mark.parametrize("limit", [0, 1, 20, 100])
def test_limit_meets_whoever_connects(limit: int, stream: Direction, open_line: OpenLine) -> None:
    line = open_line()
    with LimitData(limit_bytes=limit, stream=stream).strike(line.site) as seen:
        line.client.ok("begin")
        failed = line.client.do("read")["ending"] == "error"
        assert line.sight(seen, 0.2)
        assert failed or stream == "upstream"


def test_limit_that_nobody_reaches_is_not_seen(open_line: OpenLine) -> None:
    line = open_line()
    with LimitData(limit_bytes=1_000_000).strike(line.site) as seen:
        assert line.sight(seen, 0.1) is None  # nobody is there
    line.client.connect()
    with LimitData(limit_bytes=1_000_000).strike(line.site) as seen:
        line.client.ok("read")
        assert line.sight(seen, 0.05) is None  # somebody is there
        line.client.disconnect()
        assert line.sight(seen, 0.05) is None  # and leaves


def test_limit_is_not_seen_when_a_client_leaves_an_armed_line(open_line: OpenLine) -> None:
    line = open_line(SeverRst())
    line.client.connect()
    with LimitData(limit_bytes=1_000_000).strike(line.site) as seen:
        line.client.disconnect()
        assert line.sight(seen, 0.1) is None


def received(session: psycopg.Connection[tuple[object, ...]]) -> int:
    """How many bytes come before the other side ends the connection."""
    count = 0
    with socket.socket(fileno=socket.dup(session.fileno())) as bare:
        bare.settimeout(2.0)
        while data := bare.recv(1 << 16):
            count += len(data)
    return count


def test_refused_line_refuses_and_has_ended_everything(open_line: OpenLine) -> None:
    line = open_line()
    session = line.session()
    with Refuse().strike(line.site) as seen:
        assert line.sight(seen)
        assert ending(session) == "fin"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((line.host, line.port), 1.0)
    line.raw().close()
    session.close()


def test_refusal_is_not_seen_when_somebody_else_listens_there(open_line: OpenLine) -> None:
    line = open_line()
    if line.host != "127.0.0.1":
        pytest.skip("in this rig the line's address is another container's")
    with Refuse().strike(line.site) as seen:
        with socket.create_server((line.host, line.port), reuse_port=False):
            assert seen() is None
        assert line.sight(seen)


def test_stall_holds_everything_back_and_loses_nothing(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    with Stall().strike(line.site) as seen:
        assert line.sight(seen)
        line.client.send("read", nonce="late")
        assert line.client.quiet(0.2)
    answer = line.client.answer(1.0)
    assert (answer["ending"], answer["value"]["nonce"]) == ("ok", "late")


@pytest.mark.parametrize("fault", [SeverFin(), SeverRst(), Refuse(), Latency(), BlackHole(), LimitData()])
def test_fault_during_a_stall_loses_the_case_at_once(
    fault: Fault, open_line: OpenLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = open_line(fault)
    line.client.connect()
    calls: list[object] = []
    with Stall().strike(line.site):
        monkeypatch.setattr(Transport, "_call", lambda *arguments, **_: calls.append(arguments))
        begun = time.monotonic()
        with pytest.raises(ProxyLost, match="stalled"), fault.strike(line.site):
            pass
        assert time.monotonic() - begun < 4.0
        monkeypatch.undo()
    assert not calls  # the stopped server would have kept each of them waiting
    line.raw().close()


@pytest.mark.parametrize("fault", [Refuse(), Latency(), BlackHole(), LimitData(limit_bytes=9000)])
def test_stall_within_another_fault_is_healed_before_it(fault: Fault, open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    with fault.strike(line.site), Stall().strike(line.site):
        pass
    line.as_before()


def test_line_is_healthy_for_a_plan_that_healed(open_line: OpenLine) -> None:
    line: Line = open_line()
    line.client.connect()
    line.site.clear()


def test_line_that_is_dead_after_the_heal_voids_the_plan(open_line: OpenLine) -> None:
    line = open_line()
    line.site.link.refuse()
    with pytest.raises(ProxyLost, match="does not answer"):
        line.site.clear()
    line.site.link.accept()
