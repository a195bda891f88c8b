"""Results as tables on a terminal or in a log."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.records.result import PromiseResult, Result
from lab.records.verdict import Verdict
from lab.report.mark import MARKS, mark, moment_mark

PLAIN_WIDTH = 140
"""Columns where nobody's terminal says how many there are."""


def console(*, stderr: bool = False) -> Console:
    """A console for one of the standard streams; wide and without colour when it is no terminal."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made = Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH, no_color=True)
    return made


def short(path: str) -> str:
    """A path as one would type it here: relative where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path
    return min(relative, path, key=len)


def result_table(result: Result) -> RenderableType:
    """One variant: what ran, the table of promises, how to see each broken one again, and the sum."""
    table = Table(box=box.ROUNDED, show_lines=True, expand=False)
    table.add_column("promise", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("moments", ratio=2)
    table.add_column("why", ratio=3)
    for name, promise in result.promises.items():
        shown = mark(promise)
        table.add_row(_name(name, promise), Text(str(shown), shown.style), _moments(promise), Text(promise.summary))
    return Group(Text(headline(result), "bold"), table, *_replays(result), Text(sentence(result)))


def matrix_table(results: Sequence[Result]) -> RenderableType:
    """Promise x variant, a legend, and the moments at which each broken one breaks."""
    table = Table(box=box.ROUNDED)
    table.add_column("promise", no_wrap=True)
    for result in results:
        table.add_column(result.variant.name, no_wrap=True)
    for name in promise_names(results):
        table.add_row(name, *(_cell(result.promises.get(name)) for result in results))
    legend = Text("\n").join(Text.assemble((f"{each!s:<10}", each.style), each.meaning) for each in MARKS)
    details = [line for result in results for line in _details(result)]
    return Group(table, legend, Text(), *details, Text(), *(Text(sentence(result)) for result in results))


def promise_names(results: Sequence[Result]) -> list[str]:
    """The promises that any of the results speaks of, in the order of their names."""
    return sorted({name for result in results for name in result.promises})


def headline(result: Result) -> str:
    """What ran, in one line."""
    variant, versions = result.variant, result.versions
    named = [f"{name} {versions[key]}" for name, key in NAMED if key in versions]
    driver = f"{variant.driver} {versions.get(variant.driver, '')}".strip()
    return f"{variant.name}  (ENGINE {variant.engine}, {driver}, {', '.join(named)}, seed {result.seed})"


NAMED = (("Django", "django"), ("Python", "python"), ("PostgreSQL", "postgresql"), ("Toxiproxy", "toxiproxy"))


def sentence(result: Result) -> str:
    """The sum, in one line."""
    claimed = [promise for promise in result.promises.values() if promise.claimed]
    kept = sum(promise.verdict is Verdict.KEPT for promise in claimed)
    applying = sum(promise.verdict is not Verdict.NA for promise in claimed)
    limits = sum(promise.verdict is Verdict.BROKEN and not promise.claimed for promise in result.promises.values())
    void = f", {result.void} of them void" if result.void else ""
    return (
        f"{result.variant.name}: {result.verdict} — {kept} of {applying} claimed promises kept, {limits} documented "
        f"limits seen, {result.cases} cases{void}, {result.seconds:.1f} s"
    )


def _name(name: str, promise: PromiseResult) -> Text:
    text = Text(name)
    return text if promise.claimed else text.append("\nnot claimed", "dim")


def _moments(promise: PromiseResult) -> Text:
    """The moments by verdict, the worst first."""
    lines = []
    for verdict in Verdict:
        at = [moment for moment, each in promise.moments.items() if each is verdict]
        if at:
            shown = moment_mark(verdict, promise.claimed)
            lines.append(Text.assemble((f"{shown.sign} ", shown.style), " · ".join(at)))
    return Text("\n").join(lines)


def _cell(promise: PromiseResult | None) -> Text:
    if promise is None:
        return Text("")
    shown = mark(promise)
    return Text(str(shown), shown.style)


def _replays(result: Result) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for name, promise in result.promises.items():
        if promise.evidence:
            lines.append(Text(f"{name}: {promise.cases} cases; see it again with"))
            lines.append(Text(f"  lab replay {short(promise.evidence[0])}", no_wrap=True, overflow="ignore"))
    return lines


def _details(result: Result) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for name, promise in result.promises.items():
        if promise.verdict is not Verdict.BROKEN:
            continue
        shown = mark(promise)
        at = " · ".join(moment for moment, each in promise.moments.items() if each is Verdict.BROKEN)
        because = "" if promise.cause in (None, name) else f" (because of {promise.cause})"
        lines.append(Text.assemble((f"{shown} ", shown.style), f"{result.variant.name} {name}{because}: at {at}"))
    return lines


def folder_of(result: Result) -> str:
    """The store folder that holds a result's evidence, "" when it has none."""
    paths = [path for promise in result.promises.values() for path in promise.evidence]
    return str(Path(paths[0]).parents[2]) if paths else ""
