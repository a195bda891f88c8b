"""What a database consists of, as far as rows go: tables, sequences, and what makes it hard to write them back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lab.application.state.session import Session

WHERE_OURS = r"""n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.deptype = 'e' AND NOT EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))"""
"""The project's relations: not the server's, no temporary ones, nor what an extension brought as its own data."""

_TABLES = """
SELECT c.oid, c.relkind::text, format('%I.%I', n.nspname, c.relname), c.oid::regclass::text,
    coalesce(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'DELETE'), false),
    (SELECT coalesce(array_agg(quote_ident(a.attname) ORDER BY a.attnum), '{{}}') FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
    (SELECT coalesce(array_agg(a.attname::text), '{{}}') FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = c.oid AND i.indisprimary),
    (SELECT coalesce(array_agg(a.attname::text), '{{}}') FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attidentity <> ''
            OR a.atttypid = ANY ('{{date,time,timetz,timestamp,timestamptz,uuid}}'::regtype[])
            OR EXISTS (SELECT FROM pg_constraint k
                WHERE k.conrelid = c.oid AND k.contype IN ('p', 'f') AND a.attnum = ANY (k.conkey))
            OR EXISTS (SELECT FROM pg_attrdef f WHERE f.adrelid = c.oid AND f.adnum = a.attnum
                AND pg_get_expr(f.adbin, f.adrelid) LIKE 'nextval(%')))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND {ours}
ORDER BY c.oid
"""

_SEQUENCES = """
SELECT c.oid, format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {ours}
    AND CASE WHEN c.relkind = 'S'
        THEN has_sequence_privilege(c.oid, 'SELECT') AND has_sequence_privilege(c.oid, 'UPDATE') END
ORDER BY c.oid
"""

_FOREIGN_KEYS = """
SELECT k.conrelid, k.confrelid, k.condeferrable AND k.confdeltype = 'a'
FROM pg_constraint k WHERE k.contype = 'f'
"""

_PARTITIONS = "SELECT i.inhparent, i.inhrelid FROM pg_inherits i"

_HOOKS = """
SELECT t.tgrelid, t.tgenabled = 'O', format('DISABLE TRIGGER %I', t.tgname),
    format('%s TRIGGER %I', CASE t.tgenabled {enable} END, t.tgname) FROM pg_trigger t
WHERE t.tgenabled <> 'D' AND (NOT t.tgisinternal OR {cloned})
UNION ALL
SELECT r.ev_class, r.ev_enabled = 'O', format('DISABLE RULE %I', r.rulename),
    format('%s RULE %I', CASE r.ev_enabled {enable} END, r.rulename) FROM pg_rewrite r
WHERE r.ev_enabled <> 'D' AND r.ev_type <> '1'
UNION ALL
SELECT k.conrelid, k.contype = 'f', format('DROP CONSTRAINT %I', k.conname),
    format('ADD CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k
WHERE k.conrelid <> 0 AND NOT k.convalidated AND k.conislocal AND k.coninhcount = 0
"""

_ENABLE = "WHEN 'O' THEN 'ENABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA'"


@dataclass(frozen=True)
class Table:
    """A table that holds rows itself: partitions are, partitioned tables are not. Names are quoted for SQL.

    `columns` are those that can be inserted, without generated ones; `key` those of the primary key, unquoted.
    """

    oid: int
    name: str
    shown: str
    ours: bool
    """Whether the control session may read, insert and delete."""
    columns: tuple[str, ...]
    key: tuple[str, ...]
    drawn: frozenset[str]
    """Columns whose values are drawn, unquoted: keys, foreign keys, sequences, times and UUIDs."""
    view: bool
    """A materialized view, which is refreshed and not written."""


@dataclass(frozen=True)
class Sequence:
    """A sequence by its quoted name."""

    oid: int
    name: str


@dataclass(frozen=True)
class Hook:
    """A trigger or rule of the project's that an INSERT or DELETE sets off, or a constraint that old rows may break.

    `off` and `on` are what ALTER TABLE is told to keep it still, and to have it back as it was.
    """

    table: int
    ordinary: bool
    """Whether session_replication_role = replica alone keeps it still."""
    off: str
    on: str


class Schema:
    """One database's schema, read once; foreign keys and hooks when they are first asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tables: dict[int, Table] = {}
        self._partitioned: set[int] = set()
        for oid, kind, name, shown, ours, columns, key, drawn in session.rows(_TABLES.format(ours=WHERE_OURS)):
            if kind == "p":
                self._partitioned.add(oid)
            else:
                self.tables[oid] = Table(
                    oid, name, shown, ours, tuple(columns), tuple(key), frozenset(drawn), view=kind == "m"
                )
        self.sequences = [Sequence(*row) for row in session.rows(_SEQUENCES.format(ours=WHERE_OURS))]

    @cached_property
    def dependants(self) -> dict[int, set[int]]:
        """By table, those whose rows cannot wait for its rows to come back, or would be changed when they go.

        That is, whose foreign key to it cannot be deferred, or does more on a delete than to complain.
        """
        found: dict[int, set[int]] = {}
        for child, parent, patient in self._session.rows(_FOREIGN_KEYS):
            if not patient:
                for one in self._leaves(parent):
                    found.setdefault(one, set()).update(self._leaves(child))
        return found

    @cached_property
    def hooks(self) -> dict[int, list[Hook]]:
        """By table, what is to be kept still while its rows are written back."""
        cloned = "t.tgparentid <> 0 AND t.tgconstraint = 0" if self._session.version >= 130000 else "false"
        found: dict[int, list[Hook]] = {}
        for row in self._session.rows(_HOOKS.format(cloned=cloned, enable=_ENABLE)):
            hook = Hook(*row)
            found.setdefault(hook.table, []).append(hook)
        return found

    @cached_property
    def _children(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for parent, child in self._session.rows(_PARTITIONS):
            found.setdefault(parent, []).append(child)
        return found

    def _leaves(self, oid: int) -> list[int]:
        if oid not in self._partitioned:
            return [oid] if oid in self.tables else []
        return [leaf for child in self._children.get(oid, ()) for leaf in self._leaves(child)]
