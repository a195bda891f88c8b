"""`lab diff`: what changed between two checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.check.difference import difference
from lab.cli.stored import results_of
from lab.report.changes import print_difference
from lab.report.terminal import console

Old = Annotated[Path, typer.Argument(metavar="OLD", help="A file of `--json`, a check's folder, or a store.")]
New = Annotated[Path, typer.Argument(metavar="NEW", help="The same, later.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff")(diff_command)


def diff_command(old: Old, new: New) -> int:
    """Say what changed between two checks: what is broken that was not, what is fixed, what is not known any more.

    Exit status 1 when something is broken that was not, else 2 when something is not known any more.
    """
    found = difference(results_of(old), results_of(new))
    print_difference(console(), found)
    return found.status
