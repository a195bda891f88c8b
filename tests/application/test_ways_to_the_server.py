"""However a project says where its server is, and who it is: the tap stands on the way that the driver would take."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from fix_application import Project
from lab.rig.embedded.alone import AloneRig
from lab.rig.embedded.postgres import Postgres
from lab.rig.machine import process, route
from lab.rig.machine.process import Home
from lab.rig.postgres.server import PostgresServer
from lab.rig.postgres.settings import HBA

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

ORDER = """
import os
import pytest
from books import asks, books
from django.db import connection
pytestmark = pytest.mark.django_db

def test_right(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), books)

def test_wrong(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", {"sku": "a", "n": 1}), books)

def test_two(shop, every_order):
    every_order(asks("/orders/", sku="a", n=1), asks("/orders/", sku="a", n=2), invariant=books, preemptions=0)

def test_way(shop):
    connection.ensure_connection()
    print("HOST", connection.connection.info.host, "USER", connection.connection.info.user)
"""

ROLE = getpass.getuser()


class SocketRig(AloneRig):
    """A server that listens on a unix socket as well, where the user of this process needs no password."""

    def _start(self, stack: ExitStack) -> None:
        route.require_loopback(self.host)
        self.folder.mkdir(mode=0o711 if process.unprivileged() else 0o700)
        self.postgres = Postgres(Home(self.lab_id, self.folder), self._max_connections, unix_socket=True)
        stack.callback(self.postgres.close)
        self.postgres.start()
        self.server = PostgresServer(self.postgres, self.control)
        stack.callback(self._controls.close)

    def _ready(self) -> None:
        super()._ready()
        with self.postgres.connect("postgres") as admin:
            admin.execute(f'CREATE ROLE "{ROLE}" LOGIN CREATEDB')
            admin.execute("CREATE ROLE keeper LOGIN CREATEDB PASSWORD 'of the shop'")
            hba = self.postgres.postmaster.installation.data / "pg_hba.conf"
            hba.write_text(f'local all "{ROLE}" peer\n{HBA}', encoding="ascii")
            admin.execute("SELECT pg_reload_conf()")


@dataclass
class Place:
    """The server, and a folder for files that name it."""

    socket: str
    port: int
    folder: Path

    def passwords(self) -> str:
        """A password file."""
        file = self.folder / "pgpass"
        file.write_text(f"127.0.0.1:{self.port}:*:keeper:of the shop\n", encoding="ascii")
        file.chmod(0o600)
        return str(file)

    def services(self, *lines: str) -> str:
        """A service file."""
        file = self.folder / "services.conf"
        file.write_text("\n".join(("[shop]", *lines, "")), encoding="ascii")
        return str(file)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with SocketRig() as rig:
        yield Place(rig.postgres.way, rig.postgres.port, tmp_path_factory.mktemp("named"))


Said = tuple[dict[str, object], dict[str, str]]
"""What the settings say beyond the database's name, and what the environment does."""


def peer(place: Place) -> Said:
    return {"HOST": place.socket, "PORT": str(place.port), "USER": "", "PASSWORD": ""}, {}


def socket_by_environment(place: Place) -> Said:
    return {}, {"PGHOST": place.socket, "PGPORT": str(place.port)}


def password_file(place: Place) -> Said:
    return {}, {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(place.port),
        "PGUSER": "keeper",
        "PGPASSFILE": place.passwords(),
        "PGSSLMODE": "prefer",
        "PGCHANNELBINDING": "prefer",
    }


def password_file_in_the_home(place: Place) -> Said:
    (place.folder / ".pgpass").write_text(Path(place.passwords()).read_text(), encoding="ascii")
    (place.folder / ".pgpass").chmod(0o600)
    return {"HOST": "127.0.0.1", "PORT": str(place.port), "USER": "keeper"}, {"HOME": str(place.folder)}


def password_file_of_the_settings(place: Place) -> Said:
    options = {"passfile": place.passwords()}
    return {"HOST": "127.0.0.1", "PORT": str(place.port), "USER": "keeper", "OPTIONS": options}, {}


def service(place: Place) -> Said:
    lines = "host=127.0.0.1", f"port={place.port}", "user=keeper", "password=of the shop", "sslmode=prefer"
    return {}, {"PGSERVICE": "shop", "PGSERVICEFILE": place.services(*lines)}


def service_with_a_socket(place: Place) -> Said:
    return {}, {
        "PGSERVICE": "shop",
        "PGSERVICEFILE": place.services(f"host={place.socket}", f"port={place.port}", f"user={ROLE}"),
    }


EACH_PUSH: list[tuple[Callable[[Place], Said], str]] = [
    (peer, "psycopg"),
    (service, "psycopg2"),
    (password_file, "psycopg"),
]
WAYS: tuple[Callable[[Place], Said], ...] = (
    peer,
    socket_by_environment,
    password_file,
    password_file_in_the_home,
    password_file_of_the_settings,
    service,
    service_with_a_socket,
)
CASES = [
    pytest.param(way, driver, id=f"{way.__name__}-{driver}", marks=[pytest.mark.nightly][(way, driver) in EACH_PUSH :])
    for way in WAYS
    for driver in ("psycopg", "psycopg2")
]


@pytest.mark.parametrize(("way", "driver"), CASES)
def test_way_to_the_server_is_the_taps_too(
    tmp_path: Path, place: Place, way: Callable[[Place], Said], driver: str
) -> None:
    project = Project(tmp_path / "shop", {"host": "", "port": "", "user": "", "password": ""})
    project.write("test_order.py", ORDER)
    settings, environ = way(place)
    ran = project.pytest(
        f"--lab-driver={driver}",
        "test_order.py",
        settings={"NAME": f"{way.__name__}_{driver}", **settings},
        environ={"HOME": os.environ.get("HOME", "/"), **environ},
    )
    expected = {"test_right": "passed", "test_wrong": "failed", "test_two": "passed", "test_way": "passed"}
    assert ran.outcomes == expected, ran.text
    assert "invariant: 9 in stock and 0 sold, of 10  [2 cuts]" in ran.report("test_wrong")
    by_socket = way in (peer, socket_by_environment, service_with_a_socket)
    assert (f"HOST {place.socket} USER {ROLE}" if by_socket else "HOST 127.0.0.1 USER keeper") in ran.text
    assert " void" not in ran.text
    assert "did not come through the tap" not in ran.text
