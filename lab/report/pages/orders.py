"""The classes of an exploration of interleavings as lanes: who went when, in the simplest order of each class."""

from __future__ import annotations

from lab.report.pages.svg import Drawing
from lab.report.pages.tables import OrderRow
from lab.report.pages.words import shown

LEFT = 132
CELL = 34
LANE = 26


def draw_order(name: str, requests: tuple[str, ...], order: OrderRow) -> Drawing:
    """One order: a lane for each request, a box where it made a step, a bolt where the fault came."""
    digits = [int(each) for each in order.order[:200] if each.isdecimal()]
    words = "; ".join(f"step {place}: t{actor}" for place, actor in enumerate(digits, 1))
    draw = Drawing(name, f"Order {shown(order.order, 60)}", words)
    right = LEFT + CELL * len(digits)
    for number, request in enumerate(requests):
        y = number * LANE
        draw.text(0, y + 18, f"t{number} {shown(request, 14)}", "head-text", room=LEFT - 6)
        draw.line(LEFT, y + LANE / 2 + 1, right, y + LANE / 2 + 1, "lane")
    before = -1
    for place, actor in enumerate(digits):
        x, y = LEFT + place * CELL, actor * LANE
        if before not in (-1, actor):
            low, high = sorted((before, actor))
            draw.line(x, low * LANE + LANE / 2, x, high * LANE + LANE / 2, "gap")
        draw.rect(x + 2, y + 3, CELL - 4, LANE - 6, f"box actor{actor % 3}")
        draw.text(x + CELL / 2, y + 17, str(place + 1), "box-text", anchor="middle")
        before = actor
    if 0 <= order.fault_at <= len(digits):
        x = LEFT + order.fault_at * CELL
        draw.line(x, 0, x, LANE * len(requests), "wire cut")
        draw.text(x, LANE * len(requests) + 13, "fault", "cut-text", anchor="middle")
    return draw
