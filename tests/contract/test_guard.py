"""No byte leaves for a server that the lab did not start, whichever way an ENGINE or a project takes."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from lab.errors import AddressRefused
from lab.records.plan import Begin, End, Plan, Read
from lab.records.variant import Driver, Variant
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject import nursery
from lab.subject.handle import Zygote

PROJECTS = Path(__file__).resolve().parents[1] / "projects"
TRIES = 40
"""Of each hostile ENGINE in each of its requests: over all of them more than a thousand."""

DRIVERS: tuple[Driver, ...] = ("psycopg2", "psycopg")
PARAMETERS = (
    *("host", "hostaddr", "name", "lookup", "socket folder", "six"),
    *("environment", "service", "several hosts"),
)
ACTS = (
    *("raw libpq", "psql", "other program", "plain socket", "blocking socket", "unix socket", "datagram", "message"),
    *("fast open", "event loop", "thread"),
)


class Foreign:
    """A server that is not the lab's, on TCP, UDP and a Unix socket: it counts whoever comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = 0
        self._tcp = socket.create_server(("127.0.0.1", 0), backlog=2000)
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(f"{folder}/.s.PGSQL.{self.port}")
        self._unix.listen(2000)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in (self._tcp, self._udp, self._unix, self._stopped):
                selector.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._stopped:
                        return
                    self.seen += 1
                    if key.fileobj is self._udp:
                        self._udp.recv(100)
                    else:
                        assert isinstance(key.fileobj, socket.socket)
                        key.fileobj.accept()[0].close()

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        for each in (self._tcp, self._udp, self._unix, self._stopped):
            each.close()


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Foreign]:
    with closing(Foreign(tmp_path)) as server:
        monkeypatch.setenv("FOREIGN_PORT", str(server.port))
        monkeypatch.setenv("FOREIGN_SOCKETS", str(tmp_path))
        monkeypatch.setenv("FOREIGN_TRIES", str(TRIES))
        libpq = next((Path(psycopg2.__file__).parents[1] / "psycopg2_binary.libs").glob("libpq*"), None)
        monkeypatch.setenv("FOREIGN_LIBPQ", str(libpq or ""))
        yield server


def test_the_counting_server_counts(foreign: Foreign) -> None:
    socket.create_connection(("127.0.0.1", foreign.port)).close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(b"x", ("127.0.0.1", foreign.port))
    until = time.monotonic() + 5
    while foreign.seen < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert foreign.seen == 2


HOSTILE: list[tuple[str, Driver]] = [
    *((way, driver) for way in PARAMETERS for driver in DRIVERS),
    *((way, "psycopg") for way in ACTS),
    ("driver's class", "psycopg2"),
    ("driver's wrapper", "psycopg"),
]


@pytest.mark.nightly
def test_no_connection_in_a_thousand_checks_of_hostile_engines(rig: Rig, foreign: Foreign) -> None:
    """Each in a subject of its own, and three at once; $HOSTILE_CHECKS makes them fewer."""
    checks = int(os.environ.get("HOSTILE_CHECKS", "1000"))

    def refused(number: int) -> bool:
        way, driver = HOSTILE[number % len(HOSTILE)]
        variant = Variant(name="hostile", engine="hostile", driver=driver, path=(str(PROJECTS),))
        plan = Plan(variant=variant, steps=(Begin("t0"), Read("t0"), End("t0")))
        with closing(Zygote(variant, rig.folder, {**rig.environ(), "FOREIGN_WAY": way})) as zygote:
            try:
                run(plan, rig, zygote)
            except AddressRefused as error:
                return "ENGINE hostile" in str(error)
        return False

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(refused, range(checks))) == checks
    assert foreign.seen == 0


@pytest.mark.parametrize(("way", "driver"), HOSTILE)
def test_a_hostile_engine_reaches_nobody(
    rig: Rig, foreign: Foreign, monkeypatch: pytest.MonkeyPatch, way: str, driver: Driver
) -> None:
    monkeypatch.setenv("FOREIGN_WAY", way)
    variant = Variant(name="hostile", engine="hostile", driver=driver, path=(str(PROJECTS),))
    plan = Plan(variant=variant, steps=(Begin("t0"), Read("t0"), End("t0")))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        assert not zygote.guard.not_held
        with pytest.raises(AddressRefused) as refusal:
            run(plan, rig, zygote)
    assert foreign.seen == 0
    line = str(refusal.value)
    assert "ENGINE hostile" in line
    assert "hostile/base.py:" in line
    wanted = {"lookup": "db1.internal", "service": "service 'prod'"}.get(way, str(foreign.port))
    assert wanted in line


@pytest.mark.parametrize("options", [{"pool": {"min_size": 2, "timeout": 3}}])
def test_a_pools_worker_reaches_nobody(
    rig: Rig, foreign: Foreign, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    monkeypatch.setenv("FOREIGN_WAY", "host")
    variant = Variant(name="hostile", engine="hostile", driver="psycopg", options=options, path=(str(PROJECTS),))
    plan = Plan(variant=variant, steps=(Begin("t0"), Read("t0"), End("t0")))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote, pytest.raises(AddressRefused):
        run(plan, rig, zygote)
    assert foreign.seen == 0


@pytest.mark.parametrize(
    ("way", "wanted"),
    [
        ("http", "127.0.0.1:"),
        ("metadata", "169.254.169.254:80"),
        ("name", "vault.internal:8200"),
        ("database", "127.0.0.1:"),
        ("retries", "10.255.255.1:6379"),
    ],
)
def test_what_a_project_wants_while_it_loads_is_refused_and_named(
    rig: Rig, foreign: Foreign, monkeypatch: pytest.MonkeyPatch, way: str, wanted: str
) -> None:
    monkeypatch.setenv("FOREIGN_WAY", way)
    variant = Variant(name="loads", module="hostile_at_load.settings", engine="", path=(str(PROJECTS),))
    begun = time.monotonic()
    with pytest.raises(AddressRefused) as refusal, contextlib.ExitStack() as stack:
        stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
    assert time.monotonic() - begun < 10
    line = str(refusal.value)
    assert wanted in line
    assert "hostile_at_load/settings.py:" in line
    assert "while it loads" in line
    assert foreign.seen == 0


def test_sockets_of_the_machine_are_refused_and_cost_nothing(
    rig: Rig, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq asks the name service for a user's home: processes that do so at once must not keep each other from it."""
    monkeypatch.setenv("FOREIGN_WAY", "facility")
    variant = Variant(name="hostile", engine="hostile", driver="psycopg", path=(str(PROJECTS),))
    plan = Plan(variant=variant, steps=(Begin("t0"), Read("t0"), End("t0")) * 3)
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote, ThreadPoolExecutor(4) as threads:
        records = list(threads.map(lambda _: run(plan, rig, zygote), range(8)))
        zygote.guard.check()
    assert [op.chain for record in records for op in record.ops if op.chain] == []


def loaded(rig: Rig, monkeypatch: pytest.MonkeyPatch, way: str) -> str:
    """The notes of a project that does this while it loads, and is judged all the same."""
    monkeypatch.setenv("FOREIGN_WAY", way)
    variant = Variant(name="loads", module="hostile_at_load.settings", engine="", path=(str(PROJECTS),))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        return "\n".join(zygote.traits.notes)


def test_what_glibc_asks_for_is_not_told_as_the_projects_doing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = [line for line in loaded(rig, monkeypatch, "users").splitlines() if "nscd" in line]
    assert line.startswith("a library in C, and not the project's own code, asked for")
    assert line.endswith(": refused")
    assert "the C library's cache of users and hosts" in line


def test_what_the_project_asks_this_machine_for_is_told_with_its_line(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = loaded(rig, monkeypatch, "log")
    assert "/dev/log (the system's log) was refused: hostile_at_load/settings.py:" in notes
    assert "the project's own code did not ask" not in notes


@pytest.mark.parametrize(("way", "library"), [("name service", "libnss_own.so.2"), ("own library", "libown.so.2")])
def test_a_name_service_is_known_by_the_library_that_asks(
    rig: Rig, foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, library: str
) -> None:
    """Whatever its socket is called. The same code in a library of another name ends the check."""
    shutil.copy(os.environ["FOREIGN_LIBPQ"], tmp_path / library)
    monkeypatch.setenv("FOREIGN_LIBRARY", str(tmp_path / library))
    if way == "own library":
        with pytest.raises(AddressRefused, match=r"/run/own-users/\.s\.PGSQL\.1 while it loads"):
            loaded(rig, monkeypatch, way)
        return
    notes = loaded(rig, monkeypatch, way)
    assert "/run/own-users/.s.PGSQL.1 (libnss_own.so.2, for users and hosts): refused" in notes


def test_a_project_may_reach_what_it_serves_itself(rig: Rig, foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREIGN_WAY", "own listener")
    variant = Variant(name="loads", module="hostile_at_load.settings", engine="", path=(str(PROJECTS),))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        zygote.guard.check()


@pytest.fixture
def no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine for which the warden has no filter."""
    text = nursery.WARDEN.read_text(encoding="utf-8").replace('"x86_64": (', '"x": (').replace('"aarch64": (', '"y": (')
    (tmp_path / "warden.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(nursery, "WARDEN", tmp_path / "warden.py")


@pytest.mark.parametrize(
    ("way", "driver"),
    [
        *[(way, driver) for way in PARAMETERS for driver in ("psycopg2", "psycopg")],
        ("plain socket", "psycopg2"),
        ("unix socket", "psycopg"),
        ("datagram", "psycopg2"),
    ],
)
def test_where_the_kernel_cannot_hold_it_python_does(
    rig: Rig, foreign: Foreign, no_kernel: None, monkeypatch: pytest.MonkeyPatch, way: str, driver: Driver
) -> None:
    monkeypatch.setenv("FOREIGN_WAY", way)
    variant = Variant(name="hostile", engine="hostile", driver=driver, path=(str(PROJECTS),))
    plan = Plan(variant=variant, steps=(Begin("t0"), Read("t0"), End("t0")))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        assert any("does not let the lab hold connections" in note for note in zygote.traits.notes)
        with pytest.raises(AddressRefused):
            run(plan, rig, zygote)
    assert foreign.seen == 0
