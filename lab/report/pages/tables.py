"""An exploration's table as the store keeps it, and as its page reads it back, without what a page does not show."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from lab.explore.timeouts.table import TimeoutTable
from lab.records.codec import encode
from lab.records.difference import VERSIONS, Versions
from lab.records.own_test import OWN_TESTS, OwnTest
from lab.records.variant import Variant
from lab.store import TABLE, unwritable, write

CUTS, ORDERS, TIMEOUTS = "cuts", "interleavings", "timeouts"
VOID = "-"
MEANINGS = {
    ".": "nothing broken, no error seen",
    "e": "nothing broken, a request got its error",
    "?": "nothing broken, COMMIT in doubt",
    VOID: "void: the fault was not seen to land",
}
"""What the letters of classes say in which no promise is broken."""


class PointRow(Struct, frozen=True):
    """Where a request was cut."""

    direction: str
    name: str
    byte: int = 0


class ClassRow(Struct, frozen=True, rename={"letter": "class"}):
    """Cases that came to the same, and the path of one that replays."""

    letter: str
    count: int
    promises: tuple[str, ...] = ()
    evidence: str = ""


class CutsTable(Struct, frozen=True):
    """The strips of one exploration of cuts."""

    variant: str
    points: tuple[PointRow, ...]
    ways: tuple[str, ...]
    strip: dict[str, dict[str, tuple[str, ...]]]
    classes: tuple[ClassRow, ...]
    void: int = 0
    seconds: float = 0.0
    claims: tuple[str, ...] | None = None


class OrderRow(Struct, frozen=True):
    """One order: a digit for each step, whose it was; before the step `fault_at` the fault came, -1 for none."""

    order: str
    fault_at: int = -1


class OrdersTable(Struct, frozen=True):
    """The classes of one exploration of interleavings."""

    variant: str
    requests: tuple[str, ...]
    orders: int
    all_orders: int
    cases: int
    classes: tuple[ClassRow, ...]
    orders_by_class: dict[str, tuple[OrderRow, ...]]
    void: int = 0
    seconds: float = 0.0
    fault: dict[str, Any] | None = None
    preemptions: int | None = None
    claims: tuple[str, ...] | None = None


def keep_table(folder: Path | None, kind: str, variant: Variant, table: Any, **more: Any) -> Path | None:
    """Store a table, a record of its own, with what says whose it is and with `more`; returns the path.

    None where there is no folder, because nothing counted. Raises StoreUnwritable.
    """
    if folder is None:
        return None
    with unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    head = {"kind": kind, "variant": variant.name, "claims": variant.claims}
    write(folder / TABLE, encode({**msgspec.to_builtins(table, enc_hook=str), **more, **head}))
    return folder / TABLE


def keep_versions(folder: Path, found: Versions) -> Path:
    """Store what differs between versions; returns the path. Raises StoreUnwritable."""
    write(folder / TABLE, encode({**msgspec.to_builtins(found), "kind": VERSIONS}))
    return folder / TABLE


Table = CutsTable | OrdersTable | TimeoutTable | OwnTest | Versions


def read_table(document: Mapping[str, Any]) -> Table | None:
    """A stored table; None for a kind that is not known. Raises msgspec.ValidationError."""
    kinds: dict[str, type[Table]] = {
        CUTS: CutsTable,
        ORDERS: OrdersTable,
        TIMEOUTS: TimeoutTable,
        OWN_TESTS: OwnTest,
        VERSIONS: Versions,
    }
    kind = kinds.get(str(document.get("kind")))
    return None if kind is None else msgspec.convert(dict(document), kind)


def column_letters(table: CutsTable) -> list[tuple[str, str, dict[str, str]]]:
    """A row for each message in the order in which it passed: direction, name, and for each way the worst letter."""
    places: dict[tuple[str, str], list[int]] = {}
    counts = {"upstream": 0, "downstream": 0}
    for point in table.points:
        if point.direction not in counts:
            continue
        places.setdefault((point.direction, point.name), []).append(counts[point.direction])
        counts[point.direction] += 1
    rows = []
    for (direction, name), indices in places.items():
        letters = {}
        for way in table.ways:
            own = table.strip.get(way, {}).get(direction, ())
            seen = [own[index] for index in indices if index < len(own)]
            letters[way] = _worst(seen) if seen else VOID
        rows.append((direction, name, letters))
    return rows


def _worst(letters: list[str]) -> str:
    """A letter for a whole message: broken before void before in doubt before the rest."""
    order = {VOID: 1, "?": 2, "e": 3, ".": 4}
    return min(letters, key=lambda letter: order.get(letter, 0))
