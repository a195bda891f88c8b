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
            elif rows:
                self._small.add(oid)
                self._session.run(
                    f"INSERT INTO {SHARED} SELECT {oid}, row_number() OVER (), t::text FROM ONLY {table.name} t"
                )

    def differences(self, tables: Iterable[Table], nodes: dict[int, int]) -> list[tuple[int, bool, str]]:
        """Rows that are there and not in the copy (True), or the other way round, as JSON; inside a transaction."""
        parts = []
        for table in tables:
            now, was = self._now(table, nodes), self._was(table, nodes)
            as_json = f"to_json(d.row::{table.name})::text"
            parts += [
                f"SELECT {table.oid}::bigint, true, {as_json} FROM ({now} EXCEPT ALL {was}) d",
                f"SELECT {table.oid}::bigint, false, {as_json} FROM ({was} EXCEPT ALL {now}) d",
            ]
        return self._session.rows(" UNION ALL ".join(parts)) if parts else []

    def deletion(self, table: Table, nodes: dict[int, int], *, whole: bool) -> str:
        """A DELETE of what does not belong there, or of all rows."""
        if whole or not self._by_place(table, nodes):
            return f"DELETE FROM ONLY {table.name}"
        return f"DELETE FROM ONLY {table.name} t WHERE NOT EXISTS (SELECT FROM {self._own(table)} r WHERE {_UNCHANGED})"

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

    def placed(self, tables: Iterable[Table], nodes: dict[int, int]) -> None:
        """The places that the copies of these tables know are true in these files."""
        for table in tables:
            if table.oid in self._big:
                self._big[table.oid] = nodes[table.oid]

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
            query += f" WHERE NOT EXISTS (SELECT FROM {self._own(table)} r WHERE {_UNCHANGED})"
        return query

    def _was(self, table: Table, nodes: dict[int, int]) -> str:
        if table.oid in self._small:
            return f"SELECT row FROM {SHARED} WHERE tab = {table.oid}"
        if table.oid not in self._big:
            return "SELECT NULL::text AS row WHERE false"
        query = f"SELECT r.row FROM {self._own(table)} r"
        if self._by_place(table, nodes):
            query += f" WHERE NOT EXISTS (SELECT FROM ONLY {table.name} t WHERE {_UNCHANGED})"
        return query
