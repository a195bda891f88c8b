"""The database side of a benchmark: the lab's rig, and the ways to it that are compared."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql

from lab.rig.embedded.rig import Rig
from lab.rig.toxiproxy.toxic import Installed, Latency

DATABASE = "bench"
LATENCY_MS = 1
TRUSTED, CHECKED = "bench_trust", "bench_scram"
SCRAM_ITERATIONS = 4096
"""PostgreSQL's own default; the lab's rig is set to 1, to connect faster than real servers let anybody in."""


@dataclass(frozen=True)
class Way:
    """How a page's process reaches the server."""

    name: str
    text: str
    user: str
    through_proxy: bool = False


TRUST = Way("trust", "loopback, no password", TRUSTED)
SCRAM = Way("scram", "loopback, SCRAM", CHECKED)
LATENCY = Way("latency", f"SCRAM, {LATENCY_MS} ms of latency", CHECKED, through_proxy=True)
WAYS = (TRUST, SCRAM, LATENCY)


class Server:
    """The rig with a small table, a user without a password on loopback and one with."""

    def __init__(self, rig: Rig, latency_port: int) -> None:
        self.rig = rig
        self._latency_port = latency_port
        self._password = secrets.token_urlsafe(16)
        self._prepare()

    def environ(self, way: Way) -> dict[str, str]:
        """The variables that libpq reads, for that way, and what lets the lab's guardian end the process."""
        return {
            **self.rig.environ(),
            "PGHOST": self.rig.host,
            "PGPORT": str(self._latency_port if way.through_proxy else self.rig.postgres.port),
            "PGUSER": way.user,
            "PGPASSWORD": self._password if way.user == CHECKED else "",
            "PGDATABASE": DATABASE,
            "PGSSLMODE": "disable",
            "PGGSSENCMODE": "disable",
        }

    def _prepare(self) -> None:
        control = self.rig.control()
        # The lab logs every connection; a connection per request shall not pay for that.
        for name in ("log_connections", "log_disconnections"):
            control.execute(sql.SQL("ALTER SYSTEM SET {} = 'off'").format(sql.Identifier(name)))
        rules = self.rig.postgres.postmaster.installation.data / "pg_hba.conf"
        # Without a password: from loopback alone, for a user who may read one table of a server that ends with us.
        rules.write_text(f"host {DATABASE} {TRUSTED} {self.rig.host}/32 trust\n" + rules.read_text("ascii"), "ascii")
        control.execute("SELECT pg_reload_conf()")
        control.execute(sql.SQL("SET scram_iterations = {}").format(sql.Literal(SCRAM_ITERATIONS)))
        for user in (TRUSTED, CHECKED):
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            control.execute(statement.format(sql.Identifier(user), sql.Literal(self._password)))
        control.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        with self.rig.postgres.connect(DATABASE) as connection:
            connection.execute("CREATE TABLE django_content_type (id serial PRIMARY KEY, app_label text, model text)")
            connection.execute("INSERT INTO django_content_type (app_label, model) VALUES ('shop', 'a'), ('shop', 'b')")
            connection.execute(f"GRANT SELECT ON django_content_type TO {TRUSTED}, {CHECKED}")
            connection.execute("ANALYZE django_content_type")


@contextmanager
def serving() -> Iterator[Server]:
    """Start it all; all is gone at the end."""
    with Rig() as rig:
        latency = Installed(Latency(LATENCY_MS), "downstream")
        with rig.proxy("latency", [latency]) as proxy:
            yield Server(rig, proxy.port)
