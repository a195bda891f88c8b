"""The page of a developer's own test that every_cut or every_order failed.

It is drawn in the developer's own test process, so nothing here may load a driver.
"""

from __future__ import annotations

import string
import time
from pathlib import Path

import msgspec

from lab.records.own_test import Example, OwnTest, Turn
from lab.report.pages.render import INDEX, STYLE, render, style
from lab.store import TABLE, read_file, unwritable, write

FOLDER = "report"
MOST_CASES = 60
"""Cases of one group that the page lists."""


def own_page(found: OwnTest, folder: str, *, alone: bool = False) -> str:
    """The test with its groups. `alone`: there may be no index to lead back to."""
    groups = [
        (
            each,
            each.cases[:MOST_CASES],
            len(each.cases) - MOST_CASES,
            _columns(each.example),
            string.ascii_uppercase[: len(each.example.answers)],
        )
        for each in found.groups
    ]
    return render(
        "own.html",
        up="../../",
        live=False,
        found=found,
        folder=folder,
        alone=alone,
        groups=groups,
        when=_when(found.ended),
    )


def draw_own(folder: Path) -> Path:
    """Draw the page of a test whose evidence is in `folder`, which is two below its store; return the page's path.

    Raises StoreUnwritable.
    """
    found = msgspec.json.decode(read_file(folder / TABLE), type=OwnTest)
    out = folder.parents[1] / FOLDER
    page = out / folder.parent.name / folder.name / INDEX
    with unwritable(page):
        page.parent.mkdir(parents=True, exist_ok=True)
    write(out / STYLE, style().encode())
    write(page, own_page(found, folder.name, alone=not (out / INDEX).is_file()).encode(errors="replace"))
    return page


def _when(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):  # a stranger's number
        return ""


def _columns(example: Example) -> list[list[str]]:
    """A row for each step of an order, a column for each request."""
    actors = range(len(example.answers))
    return [[_words(turn) if turn.actor == actor else "" for actor in actors] for turn in example.turns]


def _words(turn: Turn) -> str:
    text = f"{turn.says or 'begins'}  {turn.place}".strip()
    if turn.cut:
        return f"{text}, cut before it"
    waits = " and ".join(string.ascii_uppercase[actor] for actor in turn.waits_for if 0 <= actor < 26)
    return f"{text}, waits for a lock of {waits}" if waits else text
