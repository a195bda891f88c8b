"""The page of a matrix over versions: what differs between them, an example in each corner, and what agrees."""

from __future__ import annotations

from typing import NamedTuple

from lab.records.difference import Difference, Versions
from lab.records.verdict import Verdict
from lab.report.pages.render import render
from lab.report.pages.shelf import CaseEntry, TableEntry
from lab.report.verdict_mark import Mark, moment_mark

MOST = 200
"""Differences that the page lists at most: it stays small. The others are in table.json."""


class Row(NamedTuple):
    """One difference: for each corner its mark and the run that shows it, None where it was not run."""

    difference: Difference
    cells: list[tuple[Mark | None, CaseEntry | None]]


def versions_page(table: Versions, entry: TableEntry) -> str:
    """The whole page."""
    cases = {case.folder.name: case for case in entry.cases}

    def rows(differences: tuple[Difference, ...]) -> list[Row]:
        return [Row(each, [_cell(table, each, corner, cases) for corner in table.corners]) for each in differences]

    promises = sorted({name for here in table.found.values() for one in here.values() for name in one.verdicts})
    return render(
        "versions.html",
        up="../../",
        live=False,
        entry=entry,
        table=table,
        rows=rows(table.differences[:MOST]),
        unsteady=rows(table.unsteady[:MOST]),
        further=max(len(table.differences) - MOST, 0),
        matrix=[(name, [_agreed(table, variant, name) for variant in table.found]) for name in promises],
    )


def versions_lines(table: Versions) -> list[str]:
    """What differs, a line each; corners that agree are named together."""
    return [told(each) for each in table.differences]


def told(difference: Difference) -> str:
    """One difference in words."""
    groups: dict[Verdict, list[str]] = {}
    for corner, verdict in difference.verdicts.items():
        groups.setdefault(verdict, []).append(corner)
    where = f", {difference.moment}" if difference.moment else ""
    shown = "; ".join(f"{', '.join(corners)} {verdict}" for verdict, corners in groups.items())
    return f"{difference.variant}, {difference.promise}{where}: {shown}"


def _mark(table: Versions, variant: str, promise: str, verdict: Verdict) -> Mark:
    return moment_mark(verdict, promise in table.claims.get(variant, ()))


def _cell(
    table: Versions, difference: Difference, corner: str, cases: dict[str, CaseEntry]
) -> tuple[Mark | None, CaseEntry | None]:
    verdict = difference.verdicts.get(corner)
    if verdict is None:
        return None, None
    example = difference.examples.get(corner, "").split("/")
    case = cases.get(example[-2]) if len(example) > 1 else None
    return _mark(table, difference.variant, difference.promise, verdict), case


def _agreed(table: Versions, variant: str, promise: str) -> list[tuple[Mark, int]]:
    """Each mark that the checks of a variant gave a promise, and in how many corners."""
    counts: dict[Verdict, int] = {}
    for here in table.found[variant].values():
        if promise in here.verdicts:
            counts[here.verdicts[promise]] = counts.get(here.verdicts[promise], 0) + 1
    return [(_mark(table, variant, promise, verdict), number) for verdict, number in counts.items()]
