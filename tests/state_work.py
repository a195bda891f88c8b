"""Random work on tests/application/nasty.sql, as an application does it: transactions, savepoints, errors, ends."""

from __future__ import annotations

import random
from contextlib import suppress

import psycopg
from psycopg import sql

from fix_state import KEEPER, Database

TABLES = {
    "product": ("sku, stock, price", "'s' || {n}, {n} % 9, {n} / 7.0", "stock = stock + 1, price = price * 2"),
    "always": ("note", "'n' || {n}", "note = note || '!'"),
    '"other schema"."We""ird Line"': ('"Product", later', "{n} % 8 + 1, NULL", "later = {n} % 8 + 1"),
    "cascades": ("product", "{n} % 8 + 1", "product = {n} % 8 + 1"),
    "nulls": ("product", "{n} % 8 + 1", "product = NULL"),
    "grandchild": ("up", "NULL", "up = NULL"),
    "category": ("parent, name", "{n} % 4 + 1, 'c'", "name = name || {n}"),
    "tree": ("parent", "{n} % 4 + 1", "parent = NULL"),
    "hen": ("id, egg", "{n}, 1", "egg = 1"),
    "egg": ("id, hen", "{n}, 2", "hen = NULL"),
    "parted": ("id, val", "{n} % 200, 'w'", "id = id + 1"),
    "points": ("at", "NULL", "at = 10"),
    "base_row": ("a", "'a'", "a = a || 'b'"),
    "derived_row": ("a, b", "'a', 'b'", "b = b || 'b'"),
    "fleeting": ("a", "'a'", "a = 'f'"),
    "keyless": ("a, b", "1, 'same'", "a = 2"),
    "turns": ("id, pos", "{n}, {n}", "pos = 5 - pos"),
    "booking": (
        "during",
        "tsrange('2021-01-01'::timestamp + {n} * interval '1 day', '2021-01-02'::timestamp + {n} * interval '1 day')",
        "during = during + NULL",
    ),
    "kinds": ("m, f", "'happy', {n} / 3.0", "f = f / 3, span = span * 1.5, ps = ps || ROW({n}, 'q')::pair"),
    "old_rule": ("a", "{n} + 1", "a = 7"),
    "ruled": ("a", "'x'", "a = a || 'y'"),
    "big": ("id, code, payload", "{n} + 2000, {n} + 2000, 'new'", "payload = payload || 'y'"),
    "bigger_child": ("big, a", "{n} % 1500 + 1, 'n'", "a = a || 'y'"),
    "audit": ("what", "'by hand'", "what = 'changed'"),
}
COPIED = {"keyless": ("a", "b"), "fleeting": ("a",), "parted": ("id", "val"), "turns": ("id", "pos")}
ENDS = ("close", "close", "terminate", "leave")


class Work:
    """What one case does to the database; `said` is all that was executed, errors too."""

    def __init__(self, database: Database, luck: random.Random) -> None:
        self.database = database
        self.luck = luck
        self.said: list[str] = []
        self.done = 0
        self.left: list[psycopg.Connection[object]] = []

    def close(self) -> None:
        """Let go the sessions that were left open, in whatever state."""
        for session in self.left:
            session.close()

    def run(self) -> int:
        """Some sessions, one after another; returns how many statements succeeded."""
        for _ in range(self.luck.randint(1, 2)):
            self._session(self.database.connect(KEEPER, options="-c lock_timeout=50ms"))
        return self.done

    def _session(self, session: psycopg.Connection[object]) -> None:
        with suppress(psycopg.Error):
            for _ in range(self.luck.randint(1, 3)):
                self._transaction(session)
            if self.luck.random() < 0.3:
                self._say(session, "BEGIN")
                self._statement(session)
        match self.luck.choice(ENDS):
            case "close":
                session.close()
            case "terminate":
                self.database.admin.execute("SELECT pg_terminate_backend(%s, 5000)", [session.info.backend_pid])
                session.close()
            case "leave":
                self.left.append(session)

    def _transaction(self, session: psycopg.Connection[object]) -> None:
        self._say(session, "BEGIN")
        for _ in range(self.luck.randint(1, 4)):
            self._say(session, "SAVEPOINT s")
            try:
                self._statement(session)
                if self.luck.random() < 0.2:
                    self._say(session, "ROLLBACK TO s")
            except psycopg.Error as error:
                self.said.append(f"-- {str(error).splitlines()[0]}")
                session.execute("ROLLBACK TO s")
        try:
            self._say(session, self.luck.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
        except psycopg.Error as error:
            self.said.append(f"-- at COMMIT: {str(error).splitlines()[0]}")

    def _statement(self, session: psycopg.Connection[object]) -> None:
        table = self.luck.choice(list(TABLES))
        columns, values, change = TABLES[table]
        number = str(self.luck.randint(0, 400))
        some = f"ctid IN (SELECT ctid FROM {table} ORDER BY random() LIMIT {self.luck.randint(1, 3)})"
        match self.luck.choice(
            [
                "insert",
                "insert",
                "update",
                "update",
                "delete",
                "delete",
                "all",
                "truncate",
                "sequence",
                "copy",
                "refresh",
            ]
        ):
            case "insert":
                self._say(session, f"INSERT INTO {table} ({columns}) VALUES ({values.format(n=number)})")
            case "update":
                self._say(session, f"UPDATE {table} SET {change.format(n=number)} WHERE {some}")
            case "delete":
                self._say(session, f"DELETE FROM {table} WHERE {some}")
            case "all":
                self._say(
                    session, self.luck.choice([f"DELETE FROM {table}", f"UPDATE {table} SET {change.format(n=number)}"])
                )
            case "truncate":
                identity = self.luck.choice(["RESTART", "CONTINUE"])
                self._say(session, f"TRUNCATE {table} {identity} IDENTITY CASCADE")
            case "sequence":
                asked = self.luck.choice(
                    ["nextval('loose')", "nextval('fresh')", "setval('fresh', 7, false)", "nextval('audit_id_seq')"]
                )
                self._say(session, f"SELECT {asked}")
            case "copy":
                self._copy(session, self.luck.choice(list(COPIED)))
            case "refresh":
                self._say(session, "REFRESH MATERIALIZED VIEW stock")

    def _copy(self, session: psycopg.Connection[object], table: str) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, COPIED[table]))
        )
        self.said.append(f"COPY {table}")
        with session.cursor().copy(statement) as copy:
            for _ in range(self.luck.randint(1, 5)):
                copy.write_row([self.luck.randint(300, 9000) for _ in COPIED[table]])
        self.done += 1

    def _say(self, session: psycopg.Connection[object], statement: str) -> None:
        self.said.append(statement)
        session.execute(statement.encode())
        if statement.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "SELECT"):
            self.done += 1
