"""What the server held: its sessions, those idle in a transaction, and their locks, as steps from census to census."""

from __future__ import annotations

from collections.abc import Sequence

from lab.records.census import Census
from lab.report.pages.story import Story
from lab.report.pages.svg import Drawing
from lab.report.pages.words import milliseconds, shown

LEFT = 118
STEP = 46
HEIGHT = 46
GAP = 16
TOP = 8


def counted(census: Census) -> tuple[int, int, int]:
    """Sessions, those that are idle in a transaction, and locks held in transactions or for the session."""
    idle = sum(session.state.startswith("idle in transaction") for session in census.sessions)
    return len(census.sessions), idle, sum(session.locks + session.advisory for session in census.sessions)


def occasion(census: Census) -> str:
    """When it was taken, in words."""
    who = f" of {shown(census.actor, 20)}" if census.actor else ""
    step = f", step {census.step}" if census.step >= 0 else ""
    return f"{shown(census.at, 40)}{who}{step}"


def draw_census(story: Story) -> Drawing | None:
    """The picture; None where no census was taken."""
    taken = sorted(story.record.census, key=lambda each: each.time)[:60]
    if not taken:
        return None
    values = [counted(each) for each in taken]
    peaks = [max(column) for column in zip(*values, strict=True)]
    draw = Drawing(
        "census",
        "What the server held",
        f"{len(taken)} censuses: at most {peaks[0]} sessions, {peaks[1]} idle in a transaction, {peaks[2]} locks.",
    )
    names = ("sessions", "idle in xact", "locks")
    bottom = TOP + 3 * (HEIGHT + GAP)
    for place, census in enumerate(taken):
        x = LEFT + place * STEP
        if census.step in story.named:
            draw.rect(x, 0, STEP, bottom + 26, "named", radius=0)
        draw.text(
            x + STEP / 2,
            bottom + 8,
            f"{census.step}" if census.step >= 0 else shown(census.at, 6),
            "small",
            anchor="middle",
        )
        draw.text(
            x + STEP / 2, bottom + 22, milliseconds(census.time).replace(" ms", ""), "small faint", anchor="middle"
        )
    draw.text(LEFT - 12, bottom + 8, "after step", "small", anchor="end")
    draw.text(LEFT - 12, bottom + 22, "ms", "small faint", anchor="end")
    for row, name in enumerate(names):
        _steps(draw, name, [each[row] for each in values], TOP + row * (HEIGHT + GAP))
    return draw


def _steps(draw: Drawing, name: str, values: Sequence[int], top: float) -> None:
    base, most = top + HEIGHT, max([1, *values])
    right = LEFT + len(values) * STEP
    draw.text(LEFT - 12, base - HEIGHT / 2 + 4, name, "head-text", anchor="end")
    draw.line(LEFT, base, right, base, "axis")
    points: list[tuple[float, float]] = []
    for place, value in enumerate(values):
        x, y = LEFT + place * STEP, base - (HEIGHT - 14) * value / most
        points += [(x, y), (x + STEP, y)]
        if place == 0 or value != values[place - 1]:
            draw.text(x + STEP / 2, y - 4, str(value), "small strong", anchor="middle")
    draw.path(points, "steps")
