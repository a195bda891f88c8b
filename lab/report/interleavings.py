"""The interleavings on a terminal: the classes, the simplest order of each, and how to see it again."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.explore.engine import Explored
from lab.explore.interleavings import Interleaving, InterleavingTable
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.terminal import short
from lab.report.verdict_mark import moment_mark

CALM = {".": "nothing broken, no error seen", "e": "nothing broken, a request got an error"}
"""What the letters of classes mean in which no promise is broken."""


def print_interleavings(
    out: Console, variant: Variant, found: Explored[Interleaving, InterleavingTable], root: Path
) -> None:
    """Print the classes, the simplest order of each, and how to see it again."""
    made = found.table
    bound = "" if made.preemptions is None else f" (at most {made.preemptions} preemptions)"
    fault = f", {made.fault.kind} at every position: {made.cases} cases" if made.fault else ""
    out.print(
        f"{variant.name}: {made.orders} of {made.all_orders} orders of {', '.join(made.requests)}{bound}{fault}; "
        f"{made.void} void; {found.seconds:.1f} s" + (f", {found.resumed} from before" if found.resumed else ""),
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=box.ROUNDED)
    for title in ("class", "cases", "promises", "simplest order", "again", "evidence"):
        table.add_column(title, no_wrap=title != "promises", overflow="fold")
    for each in made.classes:
        example = found.examples[each.letter]
        words = Text(CALM.get(each.letter, ""))
        for number, promise in enumerate(each.promises):
            mark = moment_mark(Verdict.BROKEN, variant.claimed(promise))
            words.append(("\n" if number else "") + promise, mark.style)
        agreed = f"{example.agreed} of {example.runs}"
        table.add_row(each.letter, str(each.count), words, example.case.name, agreed, Path(each.evidence).parent.name)
    out.print(table)
    for each in made.classes:
        if each.promises:
            out.print(f"{each.letter}: lab replay {short(str(root / each.evidence))}", markup=False, soft_wrap=True)
