"""What the developer reads of orders: a headline, and each group of broken ones by the simplest of it, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.application.case import shown
from lab.application.groups import groups
from lab.application.order_case import OrderCase, Step, letter
from lab.application.order_judge import WORDS, Verdict

Replay = Callable[[str], str]


@dataclass(frozen=True)
class Judged:
    """An order and its verdict."""

    case: OrderCase
    verdict: Verdict


def headline(judged: Sequence[Judged], requests: int, preemptions: int | None, seconds: float, cuts: int = 0) -> str:
    """One line: what was tried and what came of it."""
    kinds = Counter(each.verdict.kind for each in judged)
    parts = [f"{kinds[kind]} {word}" for kind, word in WORDS.items() if kinds[kind]]
    bound = "" if preemptions is None else f" with at most {preemptions} preemption{'s' if preemptions != 1 else ''}"
    with_cuts = f" ({cuts} of them with a cut)" if cuts else ""
    orders = f"{len(judged)} order{'s' if len(judged) != 1 else ''}"
    return f"every_order: {requests} requests, {orders}{bound}{with_cuts} in {seconds:.1f} s: {', '.join(parts)}"


def notes(judged: Sequence[Judged], said: Sequence[str]) -> list[str]:
    """What makes the result say less than it seems to."""
    void = [each.verdict.reason for each in judged if each.verdict.kind == "void"]
    return [
        *said,
        *([f"void, because what the requests do is not the same from run to run: {void[0]}"] if void else []),
    ]


def report(first: str, judged: Sequence[Judged], said: Sequence[str], replay: Replay) -> str:
    """The whole report of a test that fails: the headline `first`, then the groups."""
    lines = [first, *notes(judged, said)]
    for group in groups(judged).values():
        count = f"  [{len(group)} orders]" if len(group) > 1 else ""
        lines += ["", f"{group[0].verdict.reason}{count}", "", *table(group[0].case)]
        lines.append(f"  see it again: {replay(group[0].case.address)}")
    return "\n".join(lines)


def story(one: Judged) -> str:
    """One order alone, told."""
    verdict = one.verdict
    said = f"{WORDS[verdict.kind]}: {verdict.reason}" if verdict.reason else WORDS[verdict.kind]
    return "\n".join([f"order {one.case.address}: {said}", "", *table(one.case)])


def table(case: OrderCase) -> list[str]:
    """An order, a column for each request and a line for each step; below, what each got and which rows came of it."""
    actors = range(len(case.answers))
    cells = [(step.actor, _words(step)) for step in case.steps]
    endings = [
        f"-> {answer}" + (f" {answer.error}" if answer.error and not answer.raised else "") for answer in case.answers
    ]
    heads = [f"request {letter(actor)}" for actor in actors]
    widths = [
        max(map(len, [heads[actor], endings[actor], *(text for each, text in cells if each == actor)]))
        for actor in actors
    ]
    lines = [_line(heads, widths)]
    lines += [_line([text if each == actor else "" for actor in actors], widths) for each, text in cells]
    lines += [_line(endings, widths), f"  {shown(case.rows)}"]
    return lines


def _words(step: Step) -> str:
    text = f"{step.says or 'begins'}  {step.place}".strip()
    if step.cut:
        return f"{text}  cut before it"
    waits = " and ".join(map(letter, step.waits_for))
    return f"{text}  waits for a lock of {waits}" if waits else text


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"    {padded}".rstrip()
