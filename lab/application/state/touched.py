"""Which tables a case has touched, without reading them where the server counts; and which sequences moved."""

from __future__ import annotations

from collections.abc import Iterable

from lab.application.state.schema import WHERE_OURS, Schema
from lab.application.state.session import COUNTERS_SINCE, HAND_IN, Session, StateLost

Mark = tuple[object, ...]
"""What is equal before and after when a table was not touched."""

_COUNTERS = f"""
PREPARE lab_touched AS SELECT c.oid::bigint, c.relfilenode::bigint,
    pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND {WHERE_OURS}
"""
_NODES = f"""
SELECT c.oid, c.relfilenode FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND {WHERE_OURS}
"""


class Touched:
    """Compares marks with those at the last `rebase`. `counting` says whether the server's counters are used.

    A session hands its counters in when it ends: before that they say nothing for certain.
    """

    def __init__(self, session: Session, schema: Schema, *, counting: bool | None = None) -> None:
        self._session = session
        self._schema = schema
        if counting is None:
            counting = session.version >= COUNTERS_SINCE and session.rows("SHOW track_counts") == [("on",)]
        self.counting = counting
        self.hand_in = [HAND_IN] if counting else []
        """The statement after which what a transaction of this session wrote is counted when it has committed."""
        self.nodes: dict[int, int] = {}
        """By table the file that holds it, as of the last look."""
        self._marks: dict[int, Mark] = {}
        self._moving = {one.oid for one in schema.sequences}
        self._sequences: dict[int, tuple[int, bool]] = {}
        each = [
            f"SELECT {one.oid}::bigint, last_value, is_called::int::bigint FROM {one.name}" for one in schema.sequences
        ]
        if counting:
            session.run(" UNION ALL ".join([_COUNTERS, *each]))
        elif each:
            session.run(f"PREPARE lab_sequences AS {' UNION ALL '.join(each)}")

    def rebase(self, tables: Iterable[int] | None = None) -> None:
        """What those tables are now (all: None) is untouched; what this session wrote has been handed in."""
        if self.counting:
            marks = self._look()
            self._marks = marks if tables is None else {**self._marks, **{oid: marks[oid] for oid in tables}}
        else:
            self.nodes = self._files()
            self._marks.update(self._hashes(self._schema.tables if tables is None else tables))

    def tables(self, *, everything: bool = False) -> list[int]:
        """Those that differ from their marks, or may. `everything`: sessions that wrote may still live, so read all."""
        if self.counting and not everything:
            marks = self._look()
            self._same_tables(marks)
            return [oid for oid, mark in marks.items() if self._marks[oid] != mark]
        self.nodes = self._files()
        self._same_tables(self.nodes)
        if self.counting:
            return list(self._schema.tables)
        return [oid for oid, mark in self._hashes(self._schema.tables).items() if self._marks[oid] != mark]

    def sequences(self) -> dict[int, tuple[int, bool]]:
        """By sequence its last value and whether that was handed out; where the server counts, as of the last look."""
        if not self.counting and self._schema.sequences:
            self._read_sequences(self._session.quick("EXECUTE lab_sequences"))
        return self._sequences

    def _look(self) -> dict[int, Mark]:
        found = self._session.quick("EXECUTE lab_touched")
        self._read_sequences(row for row in found if row[0] in self._moving)
        rows = [row for row in found if row[0] not in self._moving]
        self.nodes = {oid: node for oid, node, _ in rows}
        return {oid: (node, count) for oid, node, count in rows}

    def _files(self) -> dict[int, int]:
        return dict(self._session.rows(_NODES))

    def _hashes(self, tables: Iterable[int]) -> dict[int, Mark]:
        """Sums of the hashes of the rows' texts: the order of the rows does not matter, their number does."""
        chosen = [self._schema.tables[oid] for oid in tables]
        if not chosen:
            return {}
        rows = self._session.at_once(
            " UNION ALL ".join(
                f"SELECT {each.oid}, count(*), sum(hashtextextended(t::text, 0)) FROM ONLY {each.name} t"
                for each in chosen
                if each.ours
            )
        )
        return {oid: (count, digest) for oid, count, digest in rows}

    def _same_tables(self, now: Iterable[int]) -> None:
        if odd := set(now) ^ set(self._schema.tables):
            raise StateLost(
                f"a case created or dropped {len(odd)} table(s) of the database {self._session.alias!r}",
                "create tables in migrations or in a session fixture: only rows and sequences are put back",
            )

    def _read_sequences(self, rows: Iterable[tuple[int, int, int]]) -> None:
        self._sequences = {oid: (value, bool(called)) for oid, value, called in rows}
