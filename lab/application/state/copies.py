"""Copies of rows in temporary tables, and the SQL that compares them with what is there.

A row is kept as its text: `row::text` and back is exact for every type, and equal texts are equal rows. Small tables
share one copy, with the rows in their order, and are written back whole: a query without ORDER BY then answers the same
in each case. A big table has a copy of its own that also knows where each row lies (ctid) and which transaction wrote
it (xmin), which together tell what has changed without reading the rows; only that is written back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.application.state.schema import Table
from lab.application.state.session import Session

SMALL = 500
"""Rows up to which a table is written back whole."""

SHARED = "pg_temp.lab_rows"
_XID = "(txid_current() % 4294967296)::text::xid"
"""The running transaction as a row's xmin shows it."""
_UNCHANGED = "r.tid = t.ctid AND r.xid = t.xmin"
"""A row `t` of the table is the one that was copied as `r`: no other can have both its place and its transaction."""


class Copies:
    """The copies of one database's tables. Tables without rows, or that may not be read, have none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._big: dict[int, int] = {}
        """By table that is big, the file in which its copied places are true."""
        self._writers: dict[int, set[str]] = {}
        """By table that is big, the transactions that wrote its copied rows: a row of any other one is new."""
        self._small: set[int] = set()

    def take(self, tables: Sequence[Table], nodes: dict[int, int]) -> None:
        """Copy every table that has rows; inside a transaction. `nodes` are the files that hold them."""
        self._session.run("CREATE TEMP TABLE lab_rows (tab oid, ord bigint, row text) ON COMMIT PRESERVE ROWS")
        by_oid = {each.oid: each for each in tables}
        for oid, rows in self._sizes(tables):
            table = by_oid[oid]
            if rows > SMALL and not table.view:
                self._big[oid] = nodes[oid]
                self._session.run(
                    f"CREATE TEMP TABLE lab_rows_{oid} ON COMMIT PRESERVE ROWS AS "
                    f"SELECT t.ctid AS tid, t.xmin AS xid, t::text AS row FROM ONLY {table.name} t; "
                    f"ANALYZE pg_temp.lab_rows_{oid}"
                )
                found = self._session.rows(f"SELECT DISTINCT xid::text FROM {self._own(table)}")
                self._writers[oid] = {xid for (xid,) in found}
            elif rows:
                self._small.add(oid)
                self._session.run(
                    f"INSERT INTO {SHARED} SELECT {oid}, row_number() OVER (), t::text FROM ONLY {table.name} t"
                )

    def differences(self, tables: Iterable[Table], nodes: dict[int, int]) -> str:
        """A query for the rows that are there and not in the copy (True), or the other way round, as JSON."""
        sides, parts = [], []
        for table in tables:
            oid, as_json = table.oid, f"to_json(d.row::{table.name})::text"
            sides += [
                f"n{oid} AS MATERIALIZED ({self._now(table, nodes)})",
                f"w{oid} AS MATERIALIZED ({self._was(table, nodes)})",
            ]
            parts += [
                f"SELECT {oid}::bigint, true, {as_json} FROM (TABLE n{oid} EXCEPT ALL TABLE w{oid}) d",
                f"SELECT {oid}::bigint, false, {as_json} FROM (TABLE w{oid} EXCEPT ALL TABLE n{oid}) d",
            ]
        return f"WITH {', '.join(sides)} {' UNION ALL '.join(parts)}"

    def deletion(self, table: Table, nodes: dict[int, int], *, whole: bool) -> str:
        """A DELETE of what does not belong there, or of all rows."""
        if whole or not self._by_place(table, nodes):
            return f"DELETE FROM ONLY {table.name}"
        return f"DELETE FROM ONLY {table.name} t WHERE {self._new(table)}"

    def insertion(self, table: Table, nodes: dict[int, int]) -> list[str]:
        """Named queries (`name AS (…)`) that insert what is missing after the deletion; none when nothing ever is."""
        columns = ", ".join(table.columns)
        fields = ", ".join(f"(s.r).{column}" for column in table.columns)
        head = (
            f"INSERT INTO {table.name} AS z {f'({columns}) OVERRIDING SYSTEM VALUE ' if columns else ''}SELECT {fields}"
        )
        oid = table.oid
        if oid in self._small:
            rows = f"SELECT row::{table.name} AS r FROM {SHARED} WHERE tab = {oid} ORDER BY ord OFFSET 0"
            return [f"i{oid} AS ({head} FROM ({rows}) s)"]
        if oid not in self._big:
            return []
        own = self._own(table)
        missing = (
            f"DELETE FROM {own} r WHERE NOT EXISTS (SELECT FROM ONLY {table.name} t WHERE {_UNCHANGED}) RETURNING r.row"
            if self._by_place(table, nodes)
            else f"DELETE FROM {own} r RETURNING r.row"
        )
        rows = f"SELECT row::{table.name} AS r FROM m{oid} OFFSET 0"
        return [
            f"m{oid} AS ({missing})",
            f"i{oid} AS ({head} FROM ({rows}) s RETURNING z.ctid AS tid, z::text AS row)",
            f"u{oid} AS (INSERT INTO {own} SELECT tid, {_XID}, row FROM i{oid})",
        ]

    @property
    def writer(self) -> str:
        """A query for the running transaction, "" where it does not matter: a number of its own is a write."""
        return f"SELECT {_XID}::text" if self._big else "SELECT ''"

    def placed(self, tables: Iterable[Table], nodes: dict[int, int], writer: str) -> None:
        """The places that the copies of these tables know are true in these files, now that `writer` has committed."""
        for table in tables:
            if table.oid in self._big:
                self._big[table.oid] = nodes[table.oid]
                self._writers[table.oid].add(writer)

    def _sizes(self, tables: Sequence[Table]) -> list[tuple[int, int]]:
        """How many rows each table has, SMALL + 1 for more."""
        counts = (
            f"SELECT {each.oid}::bigint, (SELECT count(*) FROM (SELECT FROM ONLY {each.name} LIMIT {SMALL + 1}) s)"
            for each in tables
        )
        found = self._session.rows(" UNION ALL ".join(counts)) if tables else []
        return [(oid, rows) for oid, rows in found if rows]

    def _by_place(self, table: Table, nodes: dict[int, int]) -> bool:
        """Whether the copy's places are to be trusted: after TRUNCATE or VACUUM FULL they are another file's."""
        return table.oid in self._big and self._big[table.oid] == nodes[table.oid]

    def _own(self, table: Table) -> str:
        return f"pg_temp.lab_rows_{table.oid}"

    def _now(self, table: Table, nodes: dict[int, int]) -> str:
        query = f"SELECT t::text AS row FROM ONLY {table.name} t"
        if self._by_place(table, nodes):
            query += f" WHERE {self._new(table)}"
        return query

    def _new(self, table: Table) -> str:
        """Whether a row `t` is none of those that were copied; without looking for it among them."""
        return f"t.xmin <> ALL ('{{{','.join(self._writers[table.oid])}}}'::xid[])"

    def _was(self, table: Table, nodes: dict[int, int]) -> str:
        if table.oid in self._small:
            return f"SELECT row FROM {SHARED} WHERE tab = {table.oid}"
        if table.oid not in self._big:
            return "SELECT NULL::text AS row WHERE false"
        query = f"SELECT r.row FROM {self._own(table)} r"
        if self._by_place(table, nodes):
            query += f" WHERE NOT EXISTS (SELECT FROM ONLY {table.name} t WHERE {_UNCHANGED})"
        return query
