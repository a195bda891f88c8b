"""`lab explore`: everything there is of one kind, where a check tries what it has been told and what chance brings."""

from __future__ import annotations

import typer

from lab.cli.cuts import cuts_command
from lab.cli.interleavings import interleavings_command
from lab.cli.timeouts import timeouts_command


def register(app: typer.Typer) -> None:
    """Add the group; another exploration is one more line here."""
    group = typer.Typer(help="Try everything there is of one kind.", no_args_is_help=True)
    group.command("cuts")(cuts_command)
    group.command("interleavings")(interleavings_command)
    group.command("timeouts")(timeouts_command)
    group.callback()(lambda: None)  # one command alone would be the group itself
    app.add_typer(group, name="explore")
