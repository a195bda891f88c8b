"""Variants in several corners of versions: what differs, with the plan that shows it, and nothing else."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lab.check.corners import Corners, Difference
from lab.records.verdict import Verdict
from lab.report.terminal import sentence, short


def print_corners(out: Console, done: Corners) -> None:
    """Each difference by variant, promise and moment, with its plan; then the sums."""
    for each in done.differences:
        _line(out, told(each))
        if each.plan:
            _line(out, f"  lab replay {short(each.plan)}", "dim")
    variants = {result.variant.name for results in done.found.values() for result in results}
    said = "what differs stands above" if done.differences else "no verdict differs"
    _line(out, f"{len(done.found)} corners, {len(variants)} variants: {said}", "bold")
    for each in done.unsteady:
        _line(out, f"not told apart: {told(each)}: runs of its plan disagree in one corner", "dim")
    for where, why in done.left_out.items():
        _line(out, f"left out: {where}: {why}", "dim")
    for corner, results in done.found.items():
        for result in results:
            versions = result.versions
            exact = f"Django {versions.get('django', '?')}, Python {versions.get('python', '?')}"
            _line(out, f"{corner} ({exact}): {sentence(result)}", "dim")


def told(difference: Difference) -> str:
    """Corners that agree are named together."""
    groups: dict[Verdict, list[str]] = {}
    for corner, verdict in difference.verdicts.items():
        groups.setdefault(verdict, []).append(corner)
    where = f", {difference.moment}" if difference.moment else ""
    shown = "; ".join(f"{', '.join(corners)} {verdict}" for verdict, corners in groups.items())
    return f"{difference.variant}, {difference.promise}{where}: {shown}"


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(text, style), soft_wrap=True)
