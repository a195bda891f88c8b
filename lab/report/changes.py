"""What changed, on a terminal: between two checks, by today's judges, or when every finding was run again."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from lab.check.difference import MEANING as KINDS
from lab.check.difference import Difference
from lab.check.rejudge import Rejudging
from lab.check.replay_all import MEANING as FATES
from lab.check.replay_all import AllAgain
from lab.report.pages.words import shown
from lab.report.terminal import short

STYLES = {"new": "bold red", "look": "magenta", "fixed": "green", "other": "dim"}
FATE_STYLES = {"still": "bold red", "flaky": "yellow", "fixed": "green", "unknown": "magenta"}


def print_difference(out: Console, found: Difference) -> None:
    """A line for each change, by kind, then the versions, then the sum."""
    for change in found.changes:
        at = f", {shown(change.moment)}" if change.moment else ""
        claim = "" if change.claimed else " (not claimed)"
        words = f" {shown(change.variant)}, {shown(change.promise)}{at}: {change.old} -> {change.new}{claim}"
        _line(out, Text.assemble((f"{change.kind:<6}", STYLES[change.kind]), words))
    for variant, name, old, new in found.versions:
        _line(out, Text(f"       {shown(variant)}: {shown(name)} {shown(old)} -> {shown(new)}", "dim"))
    for where, names in (("OLD", found.only_old), ("NEW", found.only_new)):
        if names:
            _line(out, Text(f"only in {where}: {shown(', '.join(names))}"))
    counts = Counter(change.kind for change in found.changes)
    said = ", ".join(f"{counts[kind]} {kind} ({meaning})" for kind, meaning in KINDS.items() if counts[kind])
    _line(out, Text(said or "no verdict differs", "bold"))


def print_rejudging(out: Console, done: Rejudging, damaged: list[str]) -> None:
    """A line for each verdict that differs, what could not be read, and the sum."""
    for change in done.changes:
        verdicts = f"{change.old} -> {change.new}"
        where = shown(short(change.where))
        _line(out, Text(f"{shown(change.promise)}: {verdicts} ({shown(change.summary)})  {where}"))
    for line in damaged:
        _line(out, Text(f"cannot be read: {shown(short(line))}", "yellow"))
    more = f"; {len(done.added)} promises are judged that were not then" if done.added else ""
    lost = f"; {len(damaged)} could not be read" if damaged else ""
    _line(out, Text(f"{done.runs} runs, {len(done.changes)} verdicts differ{more}{lost}", "bold"))


def print_all_again(out: Console, found: AllAgain) -> None:
    """A line for each finding, the worst first, and the sum."""
    order = list(FATES)
    for each in sorted(found.each, key=lambda again: order.index(again.fate)):
        runs = f"{each.all_of_it} of {each.runs} runs" if each.runs else shown(each.refused) or f"{each.void} void runs"
        promises = ", ".join(sorted(each.stored.broken))
        claim = "" if each.stored.claimed else " (not claimed)"
        words = f" {shown(each.stored.plan.variant.name)}, {shown(promises)}{claim}: {runs}  {short(each.stored.where)}"
        _line(out, Text.assemble((f"{each.fate:<8}", FATE_STYLES[each.fate]), words))
    counts = Counter(each.fate for each in found.each)
    _line(
        out,
        Text(
            ", ".join(f"{counts[fate]} {fate} ({meaning})" for fate, meaning in FATES.items() if counts[fate]), "bold"
        ),
    )


def _line(out: Console, line: Text) -> None:
    out.print(line, soft_wrap=True)
