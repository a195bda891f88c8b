"""`lab demo`: stories that a person can follow."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab.check.story import Story, run_story, stored_plan
from lab.check.tales import Tale, tale
from lab.check.variants import rows
from lab.cli.options import RigFlag, StoreFlag
from lab.cli.reports import FOLDER, HTML, ReportFlag, chosen_reports, draw_pages, keep_run
from lab.errors import BadInput
from lab.report.story import print_tale, print_tales
from lab.report.terminal import console, short
from lab.rig.rigs import open_rig, prepare
from lab.store import default_root

Name = Annotated[str, typer.Argument(metavar="STORY", help="Which story. Without: those that there are.")]
TimesFlag = Annotated[
    int, typer.Option("--times", metavar="N", min=0, help="How many replays must agree. Default 0: the story's own.")
]
StepFlag = Annotated[bool, typer.Option("--step", help="Wait for a key before each step is shown.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    name: Name = "",
    step: StepFlag = False,
    times: TimesFlag = 0,
    rig: RigFlag = "",
    store: StoreFlag = None,
    report: ReportFlag = HTML,
) -> int:
    """Tell a story step by step: what breaks on which backend, and the same on a repaired one.

    Without a name: list the stories. Exit status 1: what was seen is not as it is told, or not all replays agree.
    """
    reports = chosen_reports(report)
    if not name:
        print_tales(console())
        return 0
    told = tale(name)
    wait = _key if step else None
    if step and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput("--step waits for a key, and this is no terminal", "leave it out, or type it in one")
    plan, known = stored_plan(told.name), rows()
    with open_rig(prepare(rig)) as running:
        stories = run_story(plan, [known[each] for each in told.variants], running, times or told.replays)
    print_tale(console(), told, stories, wait)
    if reports:
        _draw(told, stories, store or default_root(), reports)
    strange = [story for story in stories if not _as_told(told, story)]
    for story in strange:
        what = ", ".join(finding.promise for finding in story.broken) or "nothing"
        line = f"{story.variant.name} broke {what}{story.record.void and f' (void: {story.record.void})'}"
        console(stderr=True).print(f"not as told: {line}", markup=False, soft_wrap=True)
    return 0 if not strange and all(story.unanimous for story in stories) else 1


def _draw(told: Tale, stories: list[Story], root: Path, reports: frozenset[str]) -> None:
    from lab.report.pages.shelf import page_of

    plans = [keep_run(root, "demo", story.record, story.findings, told.name) for story in stories]
    for plan in plans:
        console(stderr=True).print(f"page: {short(str(root / FOLDER / page_of(plan)))}", markup=False, soft_wrap=True)
    draw_pages(reports, root, console(stderr=True))


def _as_told(told: Tale, story: Story) -> bool:
    """Whether a variant broke the promise that the story is about, or none at all, as the story says of it."""
    broken = {finding.promise for finding in story.broken}
    return not story.record.void and (told.breaks in broken if story.variant.name in told.broken else not broken)


def _key() -> None:
    """Wait for any key; Ctrl-C, or the end of the terminal, ends the command.

    The terminal goes on making a signal of Ctrl-C, and the wait looks up now and then: a signal that another thread
    takes, that comes just before a read begins, or that a finalizer swallows, would not end that read.
    """
    import termios
    import tty

    from lab.explore.threads import GLANCE, raise_lost_interrupt

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        while not select.select([keyboard], [], [], GLANCE)[0]:
            raise_lost_interrupt()
        if not os.read(keyboard, 32):
            raise KeyboardInterrupt
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
