"""`lab sweep`: the tests of a developer's own suite that use every_cut or every_order, with deeper bounds."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from lab.errors import BadInput, LabError

NO_TESTS: Final = 5
"""pytest's exit status when it has found no test."""

Paths = Annotated[list[Path], typer.Argument(metavar="PATH…", help="Test files or folders of a Django project.")]
EveryFlag = Annotated[str, typer.Option("--every", help="Cut at each statement, or before each message.")]
WaysFlag = Annotated[str, typer.Option("--ways", metavar="WAY,…", help="fin, rst, kill, drop-reply, stall.")]
PreemptionsFlag = Annotated[int, typer.Option("--preemptions", metavar="N", min=0, help="Of every_order.")]
PostgresFlag = Annotated[bool, typer.Option("--lab-postgres", help="On a PostgreSQL server of the lab's own.")]
WorkersFlag = Annotated[str, typer.Option("--workers", metavar="N", help="Processes; needs pytest-xdist.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep")(sweep_command)


def sweep_command(
    paths: Paths,
    every: EveryFlag = "message",
    ways: WaysFlag = "fin,rst,kill",
    preemptions: PreemptionsFlag = 3,
    lab_postgres: PostgresFlag = False,
    workers: WorkersFlag = "auto",
) -> int:
    """Run a suite's every_cut and every_order tests with deeper bounds, over several processes.

    Exit status 1: one of them fails.
    """
    missing = [path for path in paths if not Path(str(path).partition("::")[0]).exists()]
    if missing:
        raise BadInput(f"there is no {missing[0]}", "name test files or folders")
    if find_spec("pytest_django") is None:
        raise BadInput("pytest-django is not installed", "install it where the project's tests run")
    arguments = ["--lab-only", f"--lab-every={every}", f"--lab-ways={ways}", f"--lab-preemptions={preemptions}"]
    arguments += ["--lab-postgres"] if lab_postgres else []
    arguments += ["-n", workers] if find_spec("xdist") is not None else []
    status = subprocess.call([sys.executable, "-m", "pytest", *arguments, *map(str, paths)])
    if status == NO_TESTS:
        raise BadInput("no test there uses every_cut or every_order", "name the files that do")
    if status not in (0, 1):
        raise LabError(f"pytest ended with status {status}", "see what it said above")
    return status
