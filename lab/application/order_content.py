"""What the rows of an order say, without what differs from order to order for no fault of the application's.

Left out are keys, foreign keys, times and UUIDs, by the server's catalogue and by Django's models, and what a project
keeps of them elsewhere: columns and JSON keys called `id`, `pk`, `…_id` or `…_pk`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.db.models import Field

from lab.application.order_case import Content
from lab.application.state import Change, Row

TIMES = frozenset({"DateField", "DateTimeField", "TimeField", "UUIDField"})

Columns = Mapping[str, frozenset[str]]
"""By table."""


def drawn_by_models() -> dict[str, frozenset[str]]:
    """By table the columns of models that hold keys, foreign keys (without a constraint too), times and UUIDs."""
    found: dict[str, set[str]] = {}
    if not apps.ready:
        return {}
    for model in apps.get_models(include_auto_created=True):
        meta = model._meta  # noqa: SLF001  # Django's documented name for it
        columns = found.setdefault(meta.db_table, set())
        for field in meta.get_fields():
            if isinstance(field, Field) and field.column and _is_drawn(field):
                columns.add(field.column)
    return {table: frozenset(columns) for table, columns in found.items()}


def _is_drawn(field: Field[Any, Any]) -> bool:
    return field.primary_key or field.is_relation or field.get_internal_type() in TIMES


def content(changes: Mapping[str, Change], drawn: Columns, volatile: Columns) -> Content:
    """The rows that came and went, by table, with `+` and `-`; `volatile` columns differ from run to run."""
    found = {}
    for table, change in changes.items():
        left_out = change.drawn | drawn.get(table, frozenset()) | volatile.get(table, frozenset())
        rows = [f"+{_text(row, left_out)}" for row in change.new] + [f"-{_text(row, left_out)}" for row in change.gone]
        found[table] = tuple(sorted(rows))
    return found


def volatile(one: Mapping[str, Change], other: Mapping[str, Change]) -> dict[str, frozenset[str]]:
    """By table the columns that differ between two runs of the same order."""
    return {
        table: frozenset(
            column
            for column in {name for row in (*change.new, *change.gone) for name in row}
            if _values(change, column) != _values(other[table], column)
        )
        for table, change in one.items()
        if table in other
    }


def _values(change: Change, column: str) -> tuple[list[str], list[str]]:
    new, gone = (sorted(json.dumps(row.get(column)) for row in rows) for rows in (change.new, change.gone))
    return new, gone


def _text(row: Row, left_out: frozenset[str]) -> str:
    kept = {name: _plain(value) for name, value in row.items() if name not in left_out and not _is_key(name)}
    return json.dumps(kept, sort_keys=True)


def _plain(value: Any) -> Any:
    """JSON without what its own keys call a key."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if not _is_key(name)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _is_key(name: str) -> bool:
    return name.lower() in ("id", "pk", "uuid", "object_id") or name.lower().endswith(("_id", "_pk", "_uuid"))
