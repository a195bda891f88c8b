"""Toxiproxy of the rig: what each lever does to a connection, and what happens when the server is lost."""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest

from lab.errors import BadInput, ProxyLost, ToolMissing
from lab.rig.embedded.rig import Rig
from lab.rig.toxiproxy import binary, toxic
from lab.rig.toxiproxy.proxies import Proxy
from lab.rig.toxiproxy.toxic import Installed

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def ask(proxy: Proxy) -> socket.socket:
    """A connection on which the server has just answered."""
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    connection.sendall(SSL_REQUEST)
    assert connection.recv(1) == b"N"
    return connection


def end_of(connection: socket.socket) -> str:
    """How it ended: FIN or RST."""
    try:
        return "FIN" if connection.recv(1) == b"" else "data"
    except ConnectionResetError:
        return "RST"
    finally:
        connection.close()


def test_cut_ends_with_fin(rig: Rig) -> None:
    with rig.shared(), rig.proxy("fin") as proxy:
        connection = ask(proxy)
        number = proxy.port
        proxy.cut()
        assert end_of(connection) == "FIN"
        assert proxy.port == number
        ask(proxy).close()


def test_cut_ends_with_rst_when_armed_before(rig: Rig) -> None:
    with rig.shared(), rig.proxy("rst") as proxy:
        proxy.arm_reset()
        for _ in range(3):  # it stays armed
            connection = ask(proxy)
            proxy.cut()
            assert end_of(connection) == "RST"


def test_refuse_refuses_until_accept(rig: Rig) -> None:
    with rig.shared(), rig.proxy("refuse") as proxy:
        connection = ask(proxy)
        proxy.refuse()
        assert end_of(connection) == "FIN"
        with socket.socket() as other:
            assert other.connect_ex(("127.0.0.1", proxy.port)) == errno.ECONNREFUSED
        proxy.accept()
        ask(proxy).close()


def test_toxics_are_there_before_the_first_connection_and_gone_after_recreate(rig: Rig) -> None:
    slow = Installed(toxic.Latency(150), "downstream")
    with rig.shared(), rig.proxy("slow", [slow]) as proxy:
        assert _fastest_of_three(proxy) >= 0.15
        proxy.recreate()
        assert proxy.toxics == ()
        assert _fastest_of_three(proxy) < 0.15


def _fastest_of_three(proxy: Proxy) -> float:
    """Seconds for an answer; a machine that is held up for a moment makes one late."""
    took = []
    for _ in range(3):
        start = time.monotonic()
        ask(proxy).close()
        took.append(time.monotonic() - start)
    return min(took)


@pytest.mark.parametrize(
    "what",
    [
        toxic.Latency(1, 1),
        toxic.Bandwidth(0),
        toxic.LimitData(0),
        toxic.Timeout(0),
        toxic.SlowClose(),
        toxic.Slicer(1, 0, 0),
        toxic.Slicer(3, 2, 1),
        toxic.ResetPeer(0),
        toxic.Armed(),
    ],
    ids=lambda what: type(what).__name__,
)
def test_every_toxic_is_accepted_and_survived(rig: Rig, what: toxic.Toxic) -> None:
    both = [Installed(what, "upstream"), Installed(what, "downstream")]
    with rig.shared(), rig.proxy("survives", both) as proxy:
        connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=0.2)
        with connection, suppress(OSError):
            connection.sendall(SSL_REQUEST)
            connection.recv(1)
        assert rig.toxiproxy.alive()


BAD: list[Callable[[], object]] = [
    lambda: toxic.Slicer(0),
    lambda: toxic.Slicer(10, 10),
    lambda: toxic.Slicer(10, -1),
    lambda: toxic.Bandwidth(-1),
    lambda: toxic.Latency(1.5),  # type: ignore[arg-type]
    lambda: toxic.Latency(True),
    lambda: toxic.LimitData("5"),  # type: ignore[arg-type]
    lambda: Installed(toxic.Timeout(), "sideways"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", BAD)
def test_values_that_kill_the_server_cannot_be_made(make: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        make()


def test_frozen_server_is_noticed_in_time_and_replaced(rig: Rig) -> None:
    with rig.exclusive(), rig.proxy("lost") as proxy:
        rig.toxiproxy.freeze()
        start = time.monotonic()
        with pytest.raises(ProxyLost):
            proxy.cut()
        assert 1.9 < time.monotonic() - start < 4.0
        rig.toxiproxy.restart()
        assert rig.toxiproxy.alive()
        with pytest.raises(ProxyLost, match="went with its server"):
            proxy.cut()
        with rig.proxy("lost") as another:
            ask(another).close()


def test_dead_server_is_noticed_at_once_and_recovered(rig: Rig) -> None:
    with rig.exclusive():
        rig.toxiproxy._child.kill()  # type: ignore[union-attr]
        with pytest.raises(ProxyLost):
            rig.proxy("dead")
        rig.recover()
        with rig.proxy("dead") as proxy:
            ask(proxy).close()


@pytest.mark.parametrize(("stop", "seen"), [(KeyboardInterrupt, KeyboardInterrupt), (TimeoutError, ProxyLost)])
def test_answer_that_nobody_took_is_not_that_of_the_next_call(
    rig: Rig, stop: type[BaseException], seen: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question has been sent; Ctrl-C, or the deadline, comes before its answer is read."""
    api = rig.toxiproxy._api
    version = api.transport.get("http://it/version").json()

    def stopped(_: HTTPConnection) -> None:
        raise stop

    with monkeypatch.context() as patched:
        patched.setattr(HTTPConnection, "getresponse", stopped)
        with pytest.raises(seen):
            api.transport.get("http://it/proxies")
    assert api.transport.get("http://it/version").json() == version


def test_freeze_stalls_and_thaw_resumes_without_loss(rig: Rig) -> None:
    with rig.exclusive(), rig.proxy("stall") as proxy:
        rig.toxiproxy.freeze()
        try:
            connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=0.1)
            connection.sendall(SSL_REQUEST)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        finally:
            rig.toxiproxy.thaw()
        connection.settimeout(5)
        assert connection.recv(1) == b"N"
        connection.close()


def test_worn_server_is_replaced_when_idle(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig.exclusive():
        rig.toxiproxy.restart()
        monkeypatch.setattr(rig.toxiproxy, "per_server", 3)
        before = rig.toxiproxy.pid
        with rig.proxy("a"), rig.proxy("b"), rig.proxy("c"), rig.proxy("d"):
            assert rig.toxiproxy.pid == before  # in use
        with rig.proxy("e"):
            assert rig.toxiproxy.pid != before
            assert rig.toxiproxy.created == 1


def test_psycopg_works_through_it(rig: Rig) -> None:
    with rig.shared(), rig.seat() as seat, rig.proxy("psycopg") as proxy:
        parameters = {**rig.postgres.parameters(seat.name), "port": proxy.port}
        with psycopg.connect(**parameters) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (seat.name,)


@pytest.mark.parametrize(
    ("says", "usable"), [("2.12.0", True), ("2.9.0", True), ("2.1.4", False), ("3.0.0", False), ("git", False)]
)
def test_configured_server_must_be_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, usable: bool
) -> None:
    program = tmp_path / "toxiproxy-server"
    program.write_text(f"#!/bin/sh\necho toxiproxy-server version {says}\n")
    program.chmod(0o755)
    monkeypatch.setenv(binary.PATH_VARIABLE, str(program))
    if usable:
        found = binary.find()
        assert found is not None
        assert (found.version, found.path) == (says, program)
    else:
        with pytest.raises(ToolMissing, match="make setup"):
            binary.find()
