"""The timeout table on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.explore.timeouts.cell import Cell
from lab.explore.timeouts.table import LOSSES, SITUATIONS, TimeoutTable

SPREAD = 0.1  # seconds: two measurements that are no further apart are shown as one

HEADINGS = {
    "blackout": "packets vanish",
    "drop-to-server": "questions vanish",
    "drop-to-client": "answers vanish",
    "black-hole": "acknowledged, no answer",
}


def print_timeouts(out: Console, table: TimeoutTable) -> None:
    """Print the table, then the holes of the variant's own settings."""
    versions = ", ".join(f"{name} {number}" for name, number in table.versions.items())
    out.print(f"{table.variant} on {table.driver}: seconds until a silence is noticed", style="bold")
    out.print(versions, markup=False, style="dim")
    grid = Table(box=box.ROUNDED, show_lines=False)
    grid.add_column("settings")
    grid.add_column("the client")
    for loss in LOSSES:
        grid.add_column(f"{HEADINGS[loss]}\n({loss})")
    for row in table.rows:
        for place, situation in enumerate(SITUATIONS):
            cells = [_shown(table.cell(row.name, loss, situation), table.horizon) for loss in LOSSES]
            grid.add_row(row.name if not place else "", situation, *cells, end_section=place == len(SITUATIONS) - 1)
    out.print(grid)
    for row in table.rows:
        if options := {key: value for key, value in row.options.items() if value is not None}:
            said = ", ".join(f"{key}={value}" for key, value in options.items())
            out.print(f"{row.name}: {said}", markup=False, soft_wrap=True)
    out.print(_settings(table))
    for note in table.notes:
        out.print(f"note: {note}", markup=False, soft_wrap=True)
    name = table.rows[0].name
    if not table.holes:
        out.print(f"{name}: no hole, every silence is noticed within {table.horizon:g} s", style="green")
    for (doing, remedy), losses in _grouped(table).items():
        what = f"a client that {_doing(doing)} does not notice {', '.join(losses)} within {table.horizon:g} s"
        out.print(f"hole in {name}: {what}; {remedy}", markup=False, soft_wrap=True)


def _settings(table: TimeoutTable) -> Table:
    """Each setting of the variant's own, and what it was seen to do."""
    grid = Table(box=box.ROUNDED)
    for title in ("setting", table.rows[0].name, "what it ended", "after"):
        grid.add_column(title)
    for each in table.settings:
        if each.least is None or each.most is None:
            grid.add_row(each.name, each.value or Text("not set", "dim"), Text("nothing", "dim"), "")
            continue
        upto = f" to {each.most:.1f}" if each.most - each.least >= SPREAD else ""
        grid.add_row(each.name, each.value or "its code's own", ", ".join(each.situations), f"{each.least:.1f}{upto} s")
    return grid


def _grouped(table: TimeoutTable) -> dict[tuple[str, str], list[str]]:
    """What lets which losses pass, by situation and remedy."""
    found: dict[tuple[str, str], list[str]] = {}
    for hole in table.holes:
        found.setdefault((hole.situation, hole.remedy), []).append(hole.loss)
    return found


def _shown(cell: Cell | None, horizon: float) -> Text:
    if cell is None:
        return Text("-", "dim")
    if cell.void:
        return Text("void", "yellow")
    if cell.seconds is None:
        return Text(f"not within {horizon:g} s", "bold red")
    return Text(f"{cell.seconds:.1f}  {cell.by}", "green")


def _doing(situation: str) -> str:
    return {"idle": "is idle", "waits": "waits for an answer"}.get(situation, situation)
