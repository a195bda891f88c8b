"""The stories of the demo on a terminal: two threads as two columns, and what the server holds after each step."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from lab.check.story import Story
from lab.records.plan import Plan


def print_stories(out: Console, stories: Sequence[Story], plan: Plan) -> None:
    """Print the stories one below the other: the lanes of the two threads, and what the server holds."""
    out.print(f"[bold]{plan.title}[/bold]: thread t0 moves something in two writes, then its view raises.")
    for story in stories:
        table = Table(title=f"\n{story.variant.name}", title_justify="left", title_style="bold")
        table.add_column("#", justify="right")
        table.add_column("thread t0")
        table.add_column("thread t1")
        table.add_column("the server holds")
        before: tuple[int, ...] = ()
        for number, step in enumerate(story.steps, 1):
            lanes = (step.text, "") if step.actor == "t0" else ("", step.text)
            held = ", ".join(f"row {each}" for each in step.held) or "nothing"
            early = step.held != before
            table.add_row(str(number), *lanes, f"[bold red]{held}  <- committed here[/bold red]" if early else held)
            before = step.held
        out.print(table)
        if story.broken:
            for finding in story.broken:
                out.print(f"  [red]broken[/red] {finding.promise}: {finding.summary}")
        else:
            out.print("  [green]no promise is broken[/green]: the rolled-back block left nothing behind")
        out.print(f"  {story.agree} of {story.replays} replays agree")
