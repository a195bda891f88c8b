"""`lab demo`: stories that a person can follow."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import RigFlag

TimesFlag = Annotated[int, typer.Option("--times", metavar="N", min=1, help="How many replays must agree.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    demo = typer.Typer(help="Stories that a person can follow.", no_args_is_help=True)
    demo.command("thread-safety")(thread_safety)
    app.add_typer(demo, name="demo")


def thread_safety(times: TimesFlag = 100, rig: RigFlag = "") -> int:
    """Two requests at once, step by step, on both published backends: where atomicity breaks, and how surely."""
    from lab import demo

    return demo.thread_safety(times=times, rig=rig)
