"""`lab report`: a store, or one stored case, as a folder of plain pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.reports import say_where
from lab.errors import BadInput, StoreUnwritable
from lab.report.pages.folder import report_case, report_store
from lab.report.terminal import console
from lab.store import default_root

What = Annotated[
    Path | None,
    typer.Argument(
        metavar="STORE|PLAN.JSON", help="A store's folder, or a stored plan. Default: $LAB_STORE, else ./store."
    ),
]
OutFlag = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where the pages go. Default: report/ in the store or case.")
]
DAMAGES = 3
"""Unreadable cases that are named at most."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report_command)


def report_command(what: What = None, out: OutFlag = None) -> int:
    """Draw what is stored: an index, and a page for each check and each broken or unknown case.

    Pages hold no script and load nothing from elsewhere. They are made from the stored files alone, so that an old
    store can be drawn again.
    """
    source = what or default_root()
    if out is not None and out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is no folder", "give the name of one")
    lone = source.is_file() or (source / "history.jsonl").is_file()
    try:
        written = report_case(source, out) if lone else report_store(source, out)
    except StoreUnwritable as full:
        raise StoreUnwritable(full.message, "free space there, or choose another folder with --out") from None
    errors = console(stderr=True)
    for line in written.damaged[:DAMAGES]:
        errors.print(f"cannot be drawn: {line}", markup=False, soft_wrap=True)
    if len(written.damaged) > DAMAGES:
        errors.print(f"and {len(written.damaged) - DAMAGES} more", markup=False)
    say_where(console(), written.index)
    return 0
