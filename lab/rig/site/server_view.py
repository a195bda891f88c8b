"""What the lab's own connection to the server sees and does for one plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import sql

from lab.errors import ServerNotReady
from lab.records.census import Row, Session
from lab.rig.postgres.connection import Statement
from lab.rig.protocol import RigProtocol

CENSUS = Statement(
    "lab_census",
    ("text[]",),
    """
SELECT a.pid, extract(epoch FROM a.backend_start)::numeric(20, 6)::text, pg_get_userbyid(a.usesysid)::text,
       coalesce((SELECT datname::text FROM pg_database WHERE oid = a.datid), ''), coalesce(a.state, ''),
       coalesce(a.wait_event_type || ':' || a.wait_event, ''), a.xact_start IS NOT NULL, l.held, l.advisory
FROM pg_stat_get_activity(NULL) a, LATERAL (
    SELECT count(*) FILTER (WHERE locktype NOT IN ('virtualxid', 'advisory')) AS held,
           count(*) FILTER (WHERE locktype = 'advisory' AND granted) AS advisory
    FROM pg_lock_status() WHERE pid = a.pid) l
WHERE a.usesysid = ANY(ARRAY(SELECT to_regrole(name)::oid FROM unnest($1) AS name))
      AND a.pid <> pg_backend_pid()
ORDER BY 2, 1
""",
)
"""What pg_stat_activity and pg_locks say, without what their views join for everybody: it is asked ten times a plan."""

TERMINATE = Statement(
    "lab_terminate",
    ("text[]",),
    """
SELECT pid, pg_terminate_backend(pid) FROM pg_stat_get_activity(NULL)
WHERE usesysid = ANY(ARRAY(SELECT to_regrole(name)::oid FROM unnest($1) AS name))
""",
)

LOST = Statement(
    "lab_lost",
    ("text[]",),
    "SELECT coalesce(sum(sessions_abandoned + sessions_fatal), 0) FROM pg_stat_database WHERE datname = ANY($1)",
)
"""Abandoned: the client's end of the connection came without its Terminate. Fatal: it came while an answer was sent."""

LOCK = Statement("lab_lock", ("bigint",), "SELECT pg_advisory_lock($1)")
HELD = Statement("lab_held", ("text",), "SELECT token FROM lab.token WHERE plan = $1 ORDER BY id")

TAKE_ROWS = Statement(
    "lab_take_rows",
    ("text",),
    """
WITH gone AS (DELETE FROM lab.token WHERE plan = $1 RETURNING id, token, xid::text, session)
SELECT token, xid, session FROM gone ORDER BY id
""",
)

XACTS = Statement(
    "lab_xacts",
    ("text[]",),
    """
SELECT x, CASE WHEN x::xid8 < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status(x::xid8) END
FROM unnest($1) AS x
""",
)
"""A crashed server forgets the numbers that it had not stored, and pg_xact_status() refuses one that is to come."""


class ServerView:
    """The sessions, locks and rows of the plan `run`, whose sessions log in as `users`. Raises ServerNotReady."""

    def __init__(self, rig: RigProtocol, run: str, users: Sequence[str]) -> None:
        self._rig = rig
        self._run = run
        self._users = list(users)

    def sessions(self) -> tuple[Session, ...]:
        """The census now."""
        return tuple(Session(*row) for row in self._query(CENSUS, self._users))

    def terminate(self) -> list[int]:
        """Tell every session to end; their pids."""
        return [pid for pid, _ in self._query(TERMINATE, self._users)]

    def lock(self, keys: Iterable[int]) -> None:
        """Shut the gates `keys`: a session that calls `lab.gate` with one of them waits."""
        for key in keys:
            self._query(LOCK, key)

    def unlock(self, key: int) -> None:
        """Open a gate; a restart of the server has opened it already."""
        try:
            self._rig.control().execute("SELECT pg_advisory_unlock(%s)", (key,))
        except (psycopg2.Error, ServerNotReady):
            return

    def lost(self, databases: Iterable[str]) -> int:
        """How many sessions in these databases have ended because their client was gone, since the server's start."""
        ((number,),) = self._query(LOST, list(databases))
        return int(number)

    def held(self) -> tuple[str, ...]:
        """The tokens that are committed now, in the order in which they were written."""
        return tuple(row[0] for row in self._query(HELD, self._run))

    def rows(self, database: str) -> list[Row]:
        """The tokens that one database holds, taken out so that the table stays small."""
        found = self._rig.control(database).run(TAKE_ROWS, self._run)
        return [Row(token, xid, session, database) for token, xid, session in found]

    def xacts(self, xids: Iterable[str]) -> dict[str, str]:
        """What became of these transactions: `committed`, `aborted` or `in progress`; "" when it is forgotten."""
        asked = list(xids)
        return {xid: status or "" for xid, status in self._query(XACTS, asked)} if asked else {}

    @contextmanager
    def test_databases(self) -> Iterator[None]:
        """The users may make databases, and `postgres`, where Django does so, exists; their right ends, it stays."""
        control = self._rig.control()
        if not control.execute("SELECT FROM pg_database WHERE datname = 'postgres'").fetchall():
            control.execute("CREATE DATABASE postgres")
        role = sql.SQL("ALTER ROLE {} {}")
        for user in self._users:
            control.execute(role.format(sql.Identifier(user), sql.SQL("CREATEDB")))
        try:
            yield
        finally:
            control = self._rig.control()
            left = control.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (f"lab_test_{self._run}",)
            )
            for (name,) in left.fetchall():
                control.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            for user in self._users:
                control.execute(role.format(sql.Identifier(user), sql.SQL("NOCREATEDB")))

    def _query(self, statement: Statement, *parameters: object) -> list[tuple[Any, ...]]:
        try:
            return self._rig.control().run(statement, *parameters)
        except psycopg2.Error as error:
            raise ServerNotReady(f"the lab's own connection to PostgreSQL failed: {error}") from None
