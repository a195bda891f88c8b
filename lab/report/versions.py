"""The same variants on several PostgreSQL versions: one table, in which a cell that differs says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.records.result import PromiseResult, Result
from lab.records.verdict import Verdict
from lab.report.terminal import promise_names, sentence
from lab.report.verdict_mark import MARKS, mark, moment_mark

DIFFERS = "reverse"

ByVersion = Mapping[str, Sequence[Result]]
"""The results of each version, the variants in the same order."""


def print_versions(out: Console, found: ByVersion) -> None:
    """Promise x variant; where versions disagree, each version's mark; then what differs at which moment."""
    everything = [result for results in found.values() for result in results]
    table = Table(box=box.ROUNDED)
    table.add_column("promise", no_wrap=True)
    variants = list(zip(*found.values(), strict=True))
    for column in variants:
        table.add_column(column[0].variant.name, no_wrap=True)
    for name in promise_names(everything):
        cells = [[result.promises.get(name) for result in column] for column in variants]
        table.add_row(name, *(_cell(dict(zip(found, each, strict=True))) for each in cells))
    out.print(table)
    for each in MARKS:
        out.print(Text.assemble((f"{each!s:<10}", each.style), each.meaning), soft_wrap=True)
    lines = [line for column in variants for line in differences(dict(zip(found, column, strict=True)))]
    among = ", ".join(found)
    out.print(Text(f"\nPostgreSQL {among}: " + ("what differs" if lines else "no verdict differs"), "bold"))
    for line in lines:
        out.print(Text(f"  {line}"), soft_wrap=True)
    for version, results in found.items():
        for result in results:
            out.print(Text(f"{version}: {sentence(result)}"), soft_wrap=True)


def differences(results: Mapping[str, Result]) -> list[str]:
    """Where one variant's versions disagree: a line for each moment at which they do, by promise.

    A moment that one version did not run does not count as a difference: once a promise is known to be broken, not all
    of its moments are run.
    """
    lines = []
    name = next(iter(results.values())).variant.name
    for promise in promise_names(list(results.values())):
        seen = {version: result.promises[promise] for version, result in results.items() if promise in result.promises}
        moments = dict.fromkeys(moment for each in seen.values() for moment in each.moments)
        for moment in moments:
            verdicts = {version: each.moments[moment] for version, each in seen.items() if moment in each.moments}
            if len(set(verdicts.values())) > 1:
                lines.append(f"{name}, {promise}, {moment}: {_told(verdicts)}")
        if len({each.verdict for each in seen.values()}) > 1 and not any(f", {promise}, " in line for line in lines):
            lines.append(f"{name}, {promise}: {_told({version: each.verdict for version, each in seen.items()})}")
    return lines


def labelled(found: ByVersion, what: str = "PostgreSQL ") -> list[Result]:
    """All results in one list, each variant's name with its version: for pages and programs."""
    return [
        msgspec.structs.replace(
            result, variant=msgspec.structs.replace(result.variant, name=f"{result.variant.name}, {what}{version}")
        )
        for version, results in found.items()
        for result in results
    ]


def _told(verdicts: Mapping[str, Verdict]) -> str:
    """Versions that agree are named together: "15, 16 kept; 17 broken"."""
    groups: dict[Verdict, list[str]] = {}
    for version, verdict in verdicts.items():
        groups.setdefault(verdict, []).append(version)
    return "; ".join(f"{', '.join(versions)} {verdict}" for verdict, versions in groups.items())


def _cell(seen: Mapping[str, PromiseResult | None]) -> Text:
    there = {version: promise for version, promise in seen.items() if promise is not None}
    verdicts = {promise.verdict for promise in there.values()}
    if not there:
        return Text("")
    if len(verdicts) == 1 and len(there) == len(seen):
        shown = mark(next(iter(there.values())))
        return Text(str(shown), shown.style)
    marks = {version: moment_mark(promise.verdict, promise.claimed) for version, promise in there.items()}
    return Text(" ").join(
        Text(f"{version} {shown.sign}", f"{shown.style} {DIFFERS}") for version, shown in marks.items()
    )
