"""One test's databases as they were: what came and went since, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from lab.application.case import Rows
from lab.application.state.copies import Copies
from lab.application.state.schema import Schema, Table
from lab.application.state.session import Session, StateLost
from lab.application.state.touched import Touched

Row = dict[str, Any]
"""A row as JSON gives it: by column."""


def save(wrappers: Mapping[str, BaseDatabaseWrapper], *, counting: bool | None = None) -> Saved:
    """Keep all rows and the sequences' values of databases, by alias; one alias for each database.

    The wrappers are the lab's own, straight to the server and outside of any transaction. `counting` False reads all
    tables to find out which were touched, True trusts the server's counters; None (default) trusts them from
    PostgreSQL 15 on, where track_counts is on. Raises StateLost.
    """
    return Saved({alias: Kept(Session(alias, wrapper), counting) for alias, wrapper in wrappers.items()})


class Saved:
    """All databases of one test. Tables of the first are called by their names, of others `alias:name`."""

    def __init__(self, databases: Mapping[str, Kept]) -> None:
        self._databases = databases

    def changes(self, *, everything: bool = False) -> dict[str, Change]:
        """Which rows came and went, of tables where any did.

        Exact when each session that wrote has ended; with `everything` also before, at the cost of reading all tables.
        """
        found: dict[str, Change] = {}
        for number, (alias, kept) in enumerate(self._databases.items()):
            for table, change in kept.changes(everything=everything).items():
                found[f"{alias}:{table}" if number else table] = change
        return found

    def tally(self, *, everything: bool = False) -> dict[str, Rows]:
        """The same as numbers."""
        return {table: change.rows for table, change in self.changes(everything=everything).items()}

    def restore(self, *, looked: bool = False) -> None:
        """Put every table and sequence back exactly; each session that wrote has ended. Raises StateLost.

        `looked`: nobody has written since `changes` was asked.
        """
        for kept in self._databases.values():
            kept.restore(looked=looked)

    def close(self) -> None:
        """Drop the copies."""
        for kept in self._databases.values():
            kept.close()


class Change:
    """What happened to one table: `added` and `removed` rows, and `changed` ones (old, new) by their primary key.

    `new` and `gone` are all rows that came and went, changed ones on both sides. `drawn` are the columns whose values
    depend on the clock, on luck or on who came first: keys, foreign keys, sequences, times and UUIDs.
    """

    def __init__(self, table: Table, new: list[Row], gone: list[Row]) -> None:
        self.key = table.key
        self.drawn = table.drawn
        self.new = new
        self.gone = gone
        old = {self._key(row): row for row in gone} if table.key else {}
        self.changed = [(old[self._key(row)], row) for row in new if self._key(row) in old] if old else []
        both = {self._key(row) for row, _ in self.changed}
        self.added = [row for row in new if not both or self._key(row) not in both]
        self.removed = [row for row in gone if not both or self._key(row) not in both]

    @property
    def rows(self) -> Rows:
        """As numbers."""
        return Rows(new=len(self.new), gone=len(self.gone))

    def _key(self, row: Row) -> tuple[str, ...]:
        return tuple(json.dumps(row[column]) for column in self.key)


class Kept:
    """One database as it was."""

    def __init__(self, session: Session, counting: bool | None = None) -> None:
        self._session = session
        _clear(session)
        self._schema = Schema(session)
        self._touched = Touched(session, self._schema, counting=counting)
        self._copies = Copies(session)
        self._replica = session.rows("SELECT current_setting('is_superuser')") == [("on",)]
        self._touched.rebase()
        self._seen: list[int] = []
        """The tables that were touched at the last look."""
        with session.transaction():
            self._copies.take(self._readable(self._schema.tables), self._touched.nodes)
            self._sequences = self._touched.sequences()

    def changes(self, *, everything: bool = False) -> dict[str, Change]:
        """By table as the project calls it, which rows came and went."""
        self._seen = self._touched.tables(everything=everything)
        tables = self._readable(self._seen)
        new: dict[int, list[Row]] = {}
        gone: dict[int, list[Row]] = {}
        if tables:
            found = self._session.at_once(self._copies.differences(tables, self._touched.nodes))
            for oid, came, text in sorted(found, key=lambda row: row[2]):
                (new if came else gone).setdefault(oid, []).append(json.loads(text))
        return {
            table.shown: Change(table, new.get(table.oid, []), gone.get(table.oid, []))
            for table in tables
            if table.oid in new or table.oid in gone
        }

    def restore(self, *, looked: bool) -> None:
        """Put all that was touched back. Raises StateLost."""
        touched = self._writable(self._seen if looked else self._touched.tables())
        moved = self._moved()
        if not touched and not moved:
            return
        tables = [table for table in touched if not table.view]
        whole = self._dependants(tables) if tables else []
        tables += whole
        statements = self._write_back(tables, {each.oid for each in whole}) if tables else []
        statements += [f"REFRESH MATERIALIZED VIEW {table.name}" for table in touched if table.view]
        if moved:
            statements.append(f"SELECT {', '.join(moved)}")
        ((writer,),) = self._session.at_once(*statements, *self._touched.hand_in, self._copies.writer)
        self._touched.rebase([each.oid for each in {*touched, *tables}])
        self._copies.placed(tables, self._touched.nodes, writer)

    def close(self) -> None:
        """Drop the copies and forget what was prepared."""
        _clear(self._session)

    def _write_back(self, tables: list[Table], whole: set[int]) -> list[str]:
        """Deletions in one statement and insertions in one, so that a constraint which cannot be deferred looks when
        all tables are ready for it.
        """
        nodes = self._touched.nodes
        hooks = [(hook, each) for each in tables for hook in self._schema.hooks.get(each.oid, ())]
        if self._replica:
            found = ["SET LOCAL session_replication_role = replica"]
            hooks = [(hook, each) for hook, each in hooks if not hook.ordinary]
        else:
            found = ["SET CONSTRAINTS ALL DEFERRED"]
        found += _alter((each, hook.off) for hook, each in hooks)
        deletions = [self._copies.deletion(each, nodes, whole=each.oid in whole) for each in tables]
        found.append(_at_once(f"d{number} AS ({one})" for number, one in enumerate(deletions)))
        insertions = [query for each in tables for query in self._copies.insertion(each, nodes)]
        if insertions:
            found.append(_at_once(insertions))
        if hooks:
            # ALTER TABLE refuses while checks are still to come.
            found += ["SET CONSTRAINTS ALL IMMEDIATE", *_alter((each, hook.on) for hook, each in hooks)]
        return found

    def _dependants(self, tables: list[Table]) -> list[Table]:
        """Tables that were not touched, but whose rows must make way while those of `tables` are written back."""
        if self._replica:
            return []
        known = {each.oid for each in tables}
        found: list[int] = []
        todo = list(known)
        while todo:
            for child in self._schema.dependants.get(todo.pop(), ()):
                if child not in known:
                    known.add(child)
                    found.append(child)
                    todo.append(child)
        return self._writable(found)

    def _moved(self) -> list[str]:
        """A call of setval for each sequence that is not where it was."""
        now = self._touched.sequences()
        return [
            f"setval('{oid}'::regclass, {value}, {str(called).lower()})"
            for oid, (value, called) in self._sequences.items()
            if now.get(oid) != (value, called)
        ]

    def _readable(self, oids: Iterable[int]) -> list[Table]:
        return [table for oid in oids if (table := self._schema.tables[oid]).ours]

    def _writable(self, oids: Iterable[int]) -> list[Table]:
        tables = [self._schema.tables[oid] for oid in oids]
        for table in tables:
            if not table.ours:
                raise StateLost(
                    f"a case wrote to {table.shown}, which the database user may not put back",
                    "give that user SELECT, INSERT and DELETE on it, or give --lab-postgres",
                )
        return tables


def _at_once(queries: Iterable[str]) -> str:
    return f"WITH {', '.join(queries)} SELECT"


def _alter(actions: Iterable[tuple[Table, str]]) -> list[str]:
    return [f"ALTER TABLE {table.name} {action}" for table, action in actions]


def _clear(session: Session) -> None:
    """Drop the lab's copies and statements, those too that an earlier test could not drop."""
    statements = session.rows("SELECT name FROM pg_prepared_statements WHERE name LIKE 'lab\\_%'")
    tables = session.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relname LIKE 'lab\\_rows%' "
        "AND relkind = 'r'"
    )
    if statements:
        session.run("; ".join(f"DEALLOCATE {name}" for (name,) in statements))
    if tables:
        session.run(f"DROP TABLE {', '.join(f'pg_temp.{name}' for (name,) in tables)}")
