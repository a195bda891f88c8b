"""What the developer reads: a headline, the groups of what is wrong, one address each; and the story of one case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.application.case import Answer, CutCase, Tables, shown
from lab.application.groups import groups
from lab.application.judge import WORDS, Verdict
from lab.records.own_test import Example
from lab.records.words import count

SHOWN: Final = 8
"""Cases of a group that are named."""

Replay = Callable[[str], str]


@dataclass(frozen=True)
class Judged:
    """A case, its verdict, and what a person calls its place."""

    case: CutCase
    verdict: Verdict
    says: str
    place: str


@dataclass(frozen=True)
class Clean:
    """The run without a cut."""

    answer: Answer
    rows: Tables
    statements: int
    differs: str = ""
    past: int = 0


def headline(clean: Clean, judged: Sequence[Judged], seconds: float) -> str:
    """One line: what was tried and what came of it."""
    kinds = Counter(each.verdict.kind for each in judged)
    parts = [f"{kinds[kind]} {word}" for kind, word in WORDS.items() if kinds[kind]]
    tried = f"{count(clean.statements, 'statement')}, {count(len(judged), 'cut')}"
    return f"every_cut: {tried} in {seconds:.1f} s: {', '.join(parts) or 'none'}"


def notes(clean: Clean) -> list[str]:
    """What makes the result say less than it seems to."""
    found = []
    if clean.differs:
        found.append(f"not the same from run to run, so that some cuts land elsewhere or not at all: {clean.differs}")
    if clean.past:
        found.append(f"{count(clean.past, 'session')} did not come through the tap and were not cut")
    return found


def report(clean: Clean, judged: Sequence[Judged], seconds: float, replay: Replay) -> str:
    """The whole report of a test that fails."""
    lines = [headline(clean, judged, seconds), f"clean run: {clean.answer}, {shown(clean.rows)}", *notes(clean)]
    for reason, group in groups(judged).items():
        lines += ["", f"{reason}  [{count(len(group), 'cut')}]", *_table(group[:SHOWN])]
        if len(group) > SHOWN:
            lines.append(f"    and {len(group) - SHOWN} more")
        lines.append(f"    see it again: {replay(group[0].case.address)}")
    return "\n".join(lines)


def _table(group: Sequence[Judged]) -> list[str]:
    rows = [
        (each.case.address, each.says, each.place, f"-> {got(each.case)}, {shown(each.case.rows)}") for each in group
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "    " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]


def got(case: CutCase) -> str:
    """What the caller got, a second answer too."""
    return f"{case.first}, asked again: {case.answer}" if case.first is not None else str(case.answer)


def story(one: Judged, example: Example) -> str:
    """One case told: each statement with its line up to the cut, what the client got, rows, the first error's line."""
    case = one.case
    width = max((len(each.says) for each in example.statements), default=0)
    lines = [f"cut {case.address}: {one.says}  {one.place}".rstrip()]
    lines += [f"    {each.says.ljust(width)}  {each.place}".rstrip() for each in example.statements]
    lines.append("    ** cut **" if case.landed else "    the cut did not land")
    lines.append(f"    -> {got(case)}, {shown(case.rows)}")
    if case.answer.error:
        lines.append(f"    {case.answer.error}  {case.answer.place}".rstrip())
    lines.append(f"    {WORDS[one.verdict.kind]}{': ' if one.verdict.reason else ''}{one.verdict.reason}")
    lines += [f"    log: {each}" for each in example.logged]
    return "\n".join(lines)
