"""The cuts on a terminal: one strip for each way and direction, one sign for each message, and what the signs mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lab.explore.cuts import DIRECTIONS, Cut, CutTable, points_of
from lab.explore.engine import VOID, Class, Example, Explored
from lab.explore.points import Point
from lab.records.variant import Variant
from lab.report.terminal import short

CALM = {
    ".": "nothing broken, no error seen",
    "e": "nothing broken, the request got its error",
    "?": "nothing broken, COMMIT in doubt",
}
"""What the letters of classes mean in which no promise is broken."""

STYLES = {".": "green", "e": "cyan", "?": "blue", VOID: "dim"}
BROKEN = ("bold red", "bold yellow", "bold magenta", "red", "yellow", "magenta")
ARROWS = {"upstream": "->", "downstream": "<-"}


def print_cuts(out: Console, variant: Variant, explored: Explored[Cut, CutTable], store: Path) -> None:
    """Print the strips, the messages behind their signs, the classes with a plan each, and the sum."""
    points = points_of(explored.outcomes)
    for direction in DIRECTIONS:
        columns = _columns([point for point in points if point.direction == direction])
        if not columns:
            continue
        _line(out, Text(f"{direction}, {len(columns)} messages: {_legend(columns)}", "dim"))
        for way, strips in explored.table.strip.items():
            line = Text(f"{way:<11}{ARROWS[direction]} ")
            for indices in columns.values():
                letter = _worst([strips[direction][index] for index in indices])
                line.append(letter, _style(letter))
            _line(out, line)
    for each in explored.table.classes:
        for line in _class(variant, each, explored.examples[each.letter], store):
            _line(out, line)
    _line(out, Text(sentence(variant, explored)))


def sentence(variant: Variant, explored: Explored[Cut, CutTable]) -> str:
    """The sum, in one line."""
    rate = explored.cases / explored.seconds if explored.seconds else 0.0
    resumed = f" and {explored.resumed} from before" if explored.resumed else ""
    return (
        f"{variant.name}: {explored.table.points} points in {len(explored.table.ways)} ways, {explored.cases} cases"
        f"{resumed}, {explored.table.void} void, {explored.seconds:.1f} s, {rate:.0f} cases/s"
    )


def _columns(points: Sequence[Point]) -> dict[str, list[int]]:
    """For each message, the indices of its points in the strip of its direction."""
    found: dict[str, list[int]] = {}
    for index, point in enumerate(points):
        found.setdefault(point.name, []).append(index)
    return found


def _legend(columns: dict[str, list[int]]) -> str:
    """The messages by name, connection left out where it is the only one."""
    names = [name.partition(":")[2] if name.startswith("c") and name[1:2].isdigit() else name for name in columns]
    return " ".join(names)


def _worst(letters: list[str]) -> str:
    """A letter for a whole message: broken before void before in doubt before the rest."""
    return min(
        letters,
        key=lambda letter: (letter in CALM, letter == VOID, ["?", "e", "."].index(letter) if letter in CALM else 0),
    )


def _style(letter: str) -> str:
    return STYLES.get(letter) or BROKEN[ord(letter) % len(BROKEN)]


def _class(variant: Variant, each: Class, example: Example[Cut], store: Path) -> list[Text]:
    meaning = CALM.get(each.letter, "")
    if not meaning:
        meaning = "broken: " + ", ".join(each.promises)
        unclaimed = [promise for promise in each.promises if not variant.claimed(promise)]
        meaning += f" (not claimed: {', '.join(unclaimed)})" if unclaimed else ""
    flaky = "" if example.agreed == example.runs else f", only {example.agreed} of {example.runs} further runs agree"
    head = Text.assemble((f"{each.letter} ", _style(each.letter)), f"{each.count:>5} x  {meaning}{flaky}")
    return [head, Text(f"          e.g. {example.case.name}: lab replay {short(str(store / each.evidence))}", "dim")]


def _line(out: Console, line: Text) -> None:
    out.print(line, soft_wrap=True)
