"""Another server than the lab's own: an older version, an ordinary user, encrypted connections only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fix_application import Project
from lab.application.server import OwnServer

BINDIR = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.skipif(BINDIR is None, reason="no PostgreSQL of the distribution below /usr/lib/postgresql"),
]

ORDER = """
import pytest
from books import books
pytestmark = pytest.mark.django_db

def test_right(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), books)

def test_wrong(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", {"sku": "a", "n": 1}), books)
"""


@pytest.fixture(scope="module")
def distribution() -> Iterator[OwnServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_PG_BINDIR", str(BINDIR))
        server = OwnServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def admin(distribution: OwnServer) -> Iterator[psycopg.Connection[tuple[str]]]:
    where = distribution.where
    with psycopg.connect(
        host=where["host"],
        port=where["port"],
        user=where["user"],
        password=where["password"],
        dbname="postgres",
        autocommit=True,
    ) as connection:
        yield connection


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, distribution: OwnServer) -> Project:
    made = Project(tmp_path_factory.mktemp("project") / "shop", distribution.where)
    made.write("test_order.py", ORDER)
    return made


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_ordinary_user_of_another_version(project: Project, admin: psycopg.Connection[tuple[str]], driver: str) -> None:
    admin.execute("DROP ROLE IF EXISTS ordinary")
    admin.execute("CREATE ROLE ordinary LOGIN CREATEDB PASSWORD 'plain'")
    settings = {"USER": "ordinary", "PASSWORD": "plain", "name": f"ordinary_{driver}"}
    ran = project.pytest("test_order.py", f"--lab-driver={driver}", settings=settings)
    assert ran.outcomes == {"test_right": "passed", "test_wrong": "failed"}, ran.text
    assert "invariant: 9 in stock and 0 sold, of 10  [2 cuts]" in ran.text
    admin.execute("DROP ROLE ordinary")


def test_server_for_encrypted_connections_only_is_told_of(
    project: Project, admin: psycopg.Connection[tuple[str]]
) -> None:
    (data,) = admin.execute("SHOW data_directory").fetchone() or ("",)
    make = (
        f"cd {data} && openssl req -new -x509 -days 1 -nodes -subj /CN=localhost -out server.crt -keyout server.key"
        " 2>/dev/null && chmod 600 server.key"
    )
    admin.execute(f"COPY (SELECT 1) TO PROGRAM '{make}'")
    admin.execute(f"COPY (SELECT 'hostssl all all 127.0.0.1/32 scram-sha-256') TO '{data}/pg_hba.conf'")
    admin.execute("ALTER SYSTEM SET ssl = on")
    admin.execute("SELECT pg_reload_conf()")
    ran = project.pytest("test_order.py", settings={"name": "encrypted"})
    assert set(ran.outcomes.values()) == {"failed"}
    assert "the server of alias 'default' does not take the unencrypted connection that a cut needs: " in ran.text
    assert "allow it in pg_hba.conf (host in place of hostssl), or use --lab-postgres" in ran.text
    assert "Traceback" not in ran.text
