"""Which setting notices which loss after how many seconds: a bar for each situation, by settings and loss."""

from __future__ import annotations

from lab.explore.timeouts.cell import Cell
from lab.explore.timeouts.table import LOSSES, SITUATIONS, TimeoutTable
from lab.report.pages.svg import Drawing
from lab.report.pages.words import shown

LEFT = 84
WIDTH = 170
TEXT = 190
BAR = 22
HEAD = 24


def draw_silence(name: str, table: TimeoutTable, settings: str) -> Drawing:
    """The bars of one set of settings; one that is never noticed runs to the horizon, and says so."""
    draw = Drawing(name, f"Seconds until a silence is noticed: {shown(settings, 60)}", describe(table, settings))
    y = 0.0
    for loss in LOSSES:
        draw.text(0, y + 16, loss, "head-text")
        y += HEAD
        for situation in SITUATIONS:
            cell = table.cell(settings, loss, situation)
            draw.text(LEFT - 8, y + 15, situation, "small", anchor="end")
            draw.line(LEFT, y + BAR - 2, LEFT + WIDTH, y + BAR - 2, "lane")
            seconds, words, css = _shown(cell, table.horizon)
            if seconds:
                length = WIDTH * min(seconds / max(table.horizon, 0.1), 1.0)
                draw.rect(LEFT, y + 4, max(length, 2), BAR - 8, f"silence {css}")
            draw.text(LEFT + WIDTH + 8, y + 15, words, f"small {css}-text", room=TEXT)
            y += BAR
        y += 8
    draw.grow(LEFT + WIDTH + TEXT, y)
    return draw


def describe(table: TimeoutTable, settings: str) -> str:
    """The same in words."""
    cells = [table.cell(settings, loss, situation) for loss in LOSSES for situation in SITUATIONS]
    return "; ".join(f"{each.loss}, {each.situation}: {_shown(each, table.horizon)[1]}" for each in cells if each)


def _shown(cell: Cell | None, horizon: float) -> tuple[float, str, str]:
    if cell is None:
        return 0.0, "not measured", "skip"
    if cell.void:
        return 0.0, "void", "skip"
    if cell.seconds is None:
        return horizon, f"not within {horizon:g} s", "fail"
    return cell.seconds, f"{cell.seconds:.1f} s {shown(cell.by, 30)}".rstrip(), "ok"
