"""`lab demo`: stories that a person can follow."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.check.story import REPLAYS, run_story, stored_plan
from lab.check.variants import rows
from lab.cli.options import RigFlag, StoreFlag
from lab.cli.reports import HTML, ReportFlag, chosen_reports, draw_pages, keep_run
from lab.report.story import print_stories
from lab.report.terminal import console
from lab.rig.rigs import open_rig, prepare
from lab.store import default_root

VARIANTS = ("published_global", "published_threadlocal")
TimesFlag = Annotated[int, typer.Option("--times", metavar="N", min=1, help="How many replays must agree.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    demo = typer.Typer(help="Stories that a person can follow.", no_args_is_help=True)
    demo.command("thread-safety")(thread_safety)
    app.add_typer(demo, name="demo")


def thread_safety(
    times: TimesFlag = REPLAYS, rig: RigFlag = "", store: StoreFlag = None, report: ReportFlag = HTML
) -> int:
    """Two requests at once, step by step, on both published backends: where atomicity breaks, and how surely.

    Exit status 1: not all replays agree.
    """
    reports = chosen_reports(report)
    plan, known = stored_plan("thread-safety"), rows()
    with open_rig(prepare(rig)) as running:
        stories = run_story(plan, [known[name] for name in VARIANTS], running, times)
    print_stories(console(), stories, plan)
    if reports:
        root = store or default_root()
        for story in stories:
            keep_run(root, "demo", story.record, story.findings)
        draw_pages(reports, root, console(stderr=True))
    return 0 if all(story.unanimous for story in stories) else 1
