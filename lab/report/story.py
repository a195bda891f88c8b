"""The stories of the demo on a terminal: a column for each actor, and what the server holds after each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.check.story import NEMESIS, Story
from lab.check.tales import TALES, Tale

HELD = "the server holds"


def print_tales(out: Console) -> None:
    """What can be told, a line each."""
    table = Table(box=None, pad_edge=False)
    table.add_column("story", no_wrap=True)
    table.add_column("what happens")
    for each in TALES:
        table.add_row(each.name, each.summary)
    out.print(table)
    _line(out, Text("see one with `lab demo STORY`, step by step with `lab demo STORY --step`"))


def print_tale(out: Console, tale: Tale, stories: Sequence[Story], wait: Callable[[], None] | None = None) -> None:
    """Print the stories one below the other, then what is learnt; `wait` is called before each step is shown."""
    _line(out, Text.assemble((f"{tale.name}: ", "bold"), tale.summary))
    for story in stories:
        _line(out, Text.assemble("\n", (story.variant.name, "bold"), f"  {story.variant.summary}"))
        if wait is None:
            out.print(_table(story, len(story.steps)))
        else:
            _step_by_step(out, story, wait)
        for finding in story.broken:
            _line(out, Text.assemble(("  broken ", "red"), f"{finding.promise}: {finding.summary}"))
        if not story.broken:
            _line(out, Text("  no promise is broken", "green"))
        _line(out, Text(f"  {story.agree} of {story.replays} replays agree"))
    _line(out, Text.assemble("\n", (tale.lesson, "bold")))


def _step_by_step(out: Console, story: Story, wait: Callable[[], None]) -> None:
    with Live(_table(story, 0), console=out, auto_refresh=False) as live:
        for shown in range(1, len(story.steps) + 1):
            wait()
            live.update(_table(story, shown), refresh=True)


def _table(story: Story, shown: int) -> Table:
    """The first `shown` steps, in columns that are wide enough for all of them."""
    lanes = list(dict.fromkeys(["t0", *(step.actor for step in story.steps)]))
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column(" #", justify="right", min_width=2)
    for lane in lanes:
        width = max(len(step.text) for step in story.steps if step.actor == lane)
        table.add_column(_head(lane), min_width=width)
    table.add_column(HELD)
    before: tuple[int, ...] = ()
    for number, step in enumerate(story.steps[:shown], 1):
        cells = [Text(step.text if lane == step.actor else "", _style(lane)) for lane in lanes]
        table.add_row(str(number), *cells, _held(step.held, before, broken=bool(story.broken)))
        before = step.held
    return table


def _held(held: Sequence[int], before: Sequence[int], *, broken: bool) -> Text:
    words = ", ".join(f"row {each}" for each in held) or "nothing"
    if held == before:
        return Text(words)
    return Text(f"{words}  <- committed here", "bold red" if broken else "bold")


def _head(lane: str) -> str:
    if lane == NEMESIS:
        return "what befalls it"
    return f"thread {lane}" if "." not in lane else f"child {lane.partition('.')[0]}"


def _style(lane: str) -> str:
    return "yellow" if lane == NEMESIS else ""


def _line(out: Console, text: Text) -> None:
    out.print(text, soft_wrap=True)
