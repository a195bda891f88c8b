"""A database that is hard to put back, with a role that owns it, and random work on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from lab.rig.embedded.rig import Rig
from lab.rig.postgres.database import SUPERUSER

NASTY = Path(__file__).parent / "application" / "nasty.sql"
KEEPER = "shopkeeper"
NUMBERS = itertools.count(1)

DIGEST = """
SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM (
    SELECT format('%s %s %s', c.relname, t.tgname, t.tgenabled) AS line
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL SELECT format('%s %s %s', ev_class::regclass, rulename, ev_enabled) FROM pg_rewrite WHERE oid > 16383
    UNION ALL SELECT format('%s %s.%s', relkind, relnamespace::regnamespace, relname) FROM pg_class
        WHERE oid > 16383 AND relnamespace::regnamespace::text !~ '^pg_(toast|temp)'
) s
"""
"""Names of everything, and which triggers and rules are enabled: nothing of the lab's among them."""


@dataclass
class Database:
    """One database with its rows, as superuser and owner see it."""

    rig: Rig
    name: str
    admin: psycopg.Connection[Any]
    _question: str = ""

    def connect(self, user: str, **extra: Any) -> psycopg.Connection[Any]:
        """A session of its own, as the application has."""
        return _session(self.rig, self.name, user, **({"password": "keeper"} | extra if user == KEEPER else extra))

    def wrapper(self, user: str) -> Any:
        """A wrapper of Django's, straight to the server."""
        from django.db.backends.postgresql.base import DatabaseWrapper  # noqa: PLC0415 - when Django is configured

        where = self.rig.postgres.parameters(user, self.name)
        password = "keeper" if user == KEEPER else where["password"]
        made = DatabaseWrapper(
            {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": self.name,
                "USER": user,
                "PASSWORD": password,
                "HOST": where["host"],
                "PORT": where["port"],
                "OPTIONS": {"sslmode": "disable", "gssencmode": "disable"},
                "AUTOCOMMIT": True,
                "CONN_MAX_AGE": None,
                "CONN_HEALTH_CHECKS": False,
                "TIME_ZONE": None,
                "ATOMIC_REQUESTS": False,
                "TEST": {},
            },
            "default",
        )
        made.ensure_connection()
        return made

    def digest(self) -> dict[str, str]:
        """All rows by table in one order, all sequences, what is enabled; another session's view."""
        if not self._question:
            self._question = self._digests()
        return dict(self.admin.execute(self._question.encode()).fetchall())

    def _digests(self) -> str:
        relations = self.admin.execute(
            "SELECT c.oid::regclass::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE relkind IN ('r', 'm', 'S') AND relpersistence <> 't' AND nspname !~ '^(pg_|information_schema)'"
        ).fetchall()
        questions = [f"SELECT 'names', ({DIGEST})"]
        for name, kind in relations:
            rows = "md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), ''))"
            what = "format('%s %s', t.last_value, t.is_called)" if kind == "S" else rows
            questions.append(f"SELECT $n${name}$n$, {what} FROM {'' if kind == 'S' else 'ONLY'} {name} t")
        return " UNION ALL ".join(questions)

    def end_sessions(self, but: int) -> None:
        """End every session on it except one and this; returns when they are gone."""
        others = (
            "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
            f"AND pid NOT IN (pg_backend_pid(), {but})"
        )
        self.admin.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}").fetchall()


def _session(rig: Rig, database: str = "lab", user: str = SUPERUSER, **extra: Any) -> psycopg.Connection[Any]:
    """By psycopg, as many applications have it; the lab's own are by psycopg2."""
    return psycopg.connect(**{**rig.postgres.parameters(user, database), **extra}, autocommit=True)


@pytest.fixture(scope="session")
def django_settings() -> None:
    """Django wants to be configured before a wrapper is made."""
    if not settings.configured:
        settings.configure(USE_TZ=True, TIME_ZONE="UTC")


@pytest.fixture(scope="module")
def new_database(rig: Rig, django_settings: None) -> Iterator[Callable[[], Database]]:
    """Make databases of that schema, dropped at the end: of the module, for other tests replace the rig's server."""
    control = _session(rig)
    control.execute(f"CREATE ROLE {KEEPER} LOGIN PASSWORD 'keeper'")
    made: list[Database] = []

    def make(script: str = NASTY.read_text(encoding="utf-8"), options: Mapping[str, str] | None = None) -> Database:
        name = f"state_{next(NUMBERS)}"
        control.execute(f"CREATE DATABASE {name} OWNER {KEEPER}")
        database = Database(rig, name, _session(rig, name))
        made.append(database)
        with database.connect(KEEPER) as session:
            session.execute(script.encode())
        return database

    yield make
    for one in made:
        one.end_sessions(0)
        one.admin.close()
        control.execute(f"DROP DATABASE {one.name}")
    control.execute(f"DROP ROLE {KEEPER}")
    control.close()
