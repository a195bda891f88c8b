"""`lab judge`: stored runs, judged again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.check.rejudge import Rejudging
from lab.errors import BadInput
from lab.report.changes import print_rejudging
from lab.report.pages.shelf import DAMAGED, CheckEntry, damage, open_shelf
from lab.report.terminal import console
from lab.store import default_root, read_kept

What = Annotated[
    Path | None, typer.Argument(metavar="STORE", help="A store's folder. Default: $LAB_STORE, else ./store.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("judge")(judge_command)


def judge_command(what: What = None) -> int:
    """Judge every stored run again, by the judges of today, and say which verdicts differ.

    Nothing is run, and nothing is written.

    Exit status 1 when a promise is broken by today's judges that was not, else 2 when one is unknown that was not.
    """
    shelf = open_shelf(what or default_root())
    done = Rejudging()
    damaged: list[str] = []
    for entry in shelf.entries():
        for case in entry.cases:
            try:
                record, findings, _ = case.read()
            except DAMAGED as error:
                damaged.append(f"{case.folder}: {damage(error)}")
                continue
            done.take(str(case.folder), record, findings, case.flaky)
        if isinstance(entry, CheckEntry):
            try:
                for number, (record, findings) in enumerate(read_kept(entry.folder), 1):
                    done.take(f"{entry.folder}/kept.jsonl, line {number}", record, findings)
            except DAMAGED as error:
                damaged.append(f"{entry.folder}/kept.jsonl: {damage(error)}")
    print_rejudging(console(), done, damaged)
    if not done.runs:
        raise BadInput(f"{shelf.root}: no stored run could be read", "give a store of this lab")
    return done.status
