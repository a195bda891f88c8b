"""Django system checks of how a project keeps its PostgreSQL connections.

Each says what goes wrong and when; where settings do not tell how a project is deployed it says "if". Nothing is
connected to. The hint names what to change and the command of the lab that shows it on this project. None of these is a
verdict: a verdict needs a run.

    connection_lab.E001  a text where Django wants a number
    connection_lab.W001  kept connections are not checked before they are used
    connection_lab.W002  the pool's connections are not checked before they are used
    connection_lab.W003  no connect_timeout
    connection_lab.W004  no keepalives, or no tcp_user_timeout
    connection_lab.W005  kept connections and no idle_in_transaction_session_timeout
    connection_lab.I001  kept connections carry session state from request to request
    connection_lab.I002  kept connections and a server that forks after they were opened
    connection_lab.I003  server-side cursors behind a pooler
    connection_lab.I004  kept connections and a new thread for each request
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info
from django.db import connections

POSTGRESQL = "postgresql"


@dataclass(frozen=True)
class Database:
    """One alias as its settings say it is."""

    alias: str
    settings: dict[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """Its OPTIONS."""
        return dict(self.settings.get("OPTIONS") or {})

    @property
    def pool(self) -> bool:
        """Whether Django's own pool is in use."""
        return bool(self.options.get("pool"))

    @property
    def checked(self) -> bool:
        """Whether a kept connection is checked before it is used."""
        pool = self.options.get("pool")
        own = isinstance(pool, dict) and pool.get("check") is not None
        return bool(self.settings.get("CONN_HEALTH_CHECKS")) or own

    @property
    def kept(self) -> bool:
        """Whether connections outlive a request."""
        return self.pool or self.settings.get("CONN_MAX_AGE", 0) != 0

    def server_option(self, name: str) -> bool:
        """Whether a server's setting is given for the sessions."""
        return name in str(self.options.get("options") or "")

    def command(self, promise: str) -> str:
        """What shows it on this project."""
        module = os.environ.get("DJANGO_SETTINGS_MODULE", "YOUR.SETTINGS")
        alias = "" if self.alias == "default" else f" --alias {self.alias}"
        return f"See it, and what mends it: lab advise --settings {module}{alias} --promise {promise}"


Found = Iterator[CheckMessage]


def check_connections(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """All of them, for each alias on PostgreSQL: those that `--database` names, else every one."""
    found: list[CheckMessage] = []
    for alias in databases or list(settings.DATABASES):
        if connections[alias].vendor == POSTGRESQL:
            database = Database(alias, connections[alias].settings_dict)
            for check in CHECKS:
                found += check(database)
    return found


def _message(
    kind: Callable[..., CheckMessage], number: str, database: Database, says: str, change: str, promise: str
) -> CheckMessage:
    return kind(
        f"DATABASES[{database.alias!r}]: {says}",
        hint=f"{change} {database.command(promise)}",
        id=f"connection_lab.{number}",
    )


def _numbers(database: Database) -> Found:
    age = database.settings.get("CONN_MAX_AGE", 0)
    if isinstance(age, str):
        says = f"CONN_MAX_AGE is the text {age!r}: every connect fails at adding it to a number."
        yield _message(Error, "E001", database, says, "Make it a number, or None.", "works-unfaulted")


def _unchecked(database: Database) -> Found:
    if database.pool and not database.checked:
        says = "the pool hands out connections unchecked: after a restart of the server requests fail, one for each."
        yield _message(checks.Warning, "W002", database, says, "Set CONN_HEALTH_CHECKS to True.", "replaces-stale")
    elif database.kept and not database.checked:
        says = "kept connections are not checked: after a restart of the server each thread's next request fails."
        yield _message(checks.Warning, "W001", database, says, "Set CONN_HEALTH_CHECKS to True.", "replaces-stale")


def _connect(database: Database) -> Found:
    if not database.options.get("connect_timeout"):
        says = "there is no connect_timeout: a server that does not answer holds a worker for minutes."
        yield _message(checks.Warning, "W003", database, says, 'Add OPTIONS["connect_timeout"] = 3.', "bounded-wait")


def _silence(database: Database) -> Found:
    wanted = ("keepalives_idle", "tcp_user_timeout")
    missing = [name for name in wanted if name not in database.options]
    if missing and not str(database.settings.get("HOST", "")).startswith("/"):
        says = (
            f"{' and '.join(missing)} not set: if a firewall, a NAT or a failover lies on the way, a connection "
            "that vanished is waited for up to hours."
        )
        change = (
            'Add to OPTIONS "keepalives": 1, "keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3, '
            '"tcp_user_timeout": 5000, or longer ones.'
        )
        yield _message(checks.Warning, "W004", database, says, change, "bounded-wait")


def _left_open(database: Database) -> Found:
    if database.kept and not database.pool and not database.server_option("idle_in_transaction_session_timeout"):
        says = (
            "a kept connection stays in a transaction for ever, with its locks, if code has opened one by hand "
            "(BEGIN, set_autocommit(False)) and not ended it."
        )
        change = 'Add OPTIONS["options"] = "-c idle_in_transaction_session_timeout=60000", and CONN_HEALTH_CHECKS.'
        yield _message(checks.Warning, "W005", database, says, change, "idle-after-close")


def _state(database: Database) -> Found:
    if database.kept:
        says = (
            "if code changes its session (SET, SET ROLE, search_path, advisory locks, temporary tables), the next "
            "request on that connection has it too."
        )
        change = "Undo it in the same request (SET LOCAL, pg_advisory_xact_lock), or keep no connections."
        yield _message(Info, "I001", database, says, change, "clean-session")


def _fork(database: Database) -> Found:
    if database.kept:
        says = (
            "if the server loads the project and then forks (gunicorn --preload, Celery's prefork, uWSGI without "
            "lazy-apps), a connection that was opened before is shared by all children."
        )
        yield _message(
            Info,
            "I002",
            database,
            says,
            "Call connections.close_all() before each fork, or load after it.",
            "fork-safe",
        )


def _cursors(database: Database) -> Found:
    if not database.settings.get("DISABLE_SERVER_SIDE_CURSORS"):
        says = "if PgBouncer in transaction or statement mode is on the way, QuerySet.iterator() fails."
        yield _message(
            Info, "I003", database, says, "Set DISABLE_SERVER_SIDE_CURSORS to True there.", "works-unfaulted"
        )


def _threads(database: Database) -> Found:
    if database.kept and not database.pool:
        says = (
            "if a new thread serves each request (runserver, ASGI's thread pool, executors), its connection stays "
            "open after it, until the server has none left."
        )
        yield _message(Info, "I004", database, says, "Use CONN_MAX_AGE=0 or a pool there.", "bounded-sessions")


CHECKS = (_numbers, _unchecked, _connect, _silence, _left_open, _state, _fork, _cursors, _threads)
