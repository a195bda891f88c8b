"""Bars with whiskers: the ratios of several conditions beside each other, by matplotlib."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from figures import Ratio
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

OURS, OTHERS = "#2a7f62", "#9aa5b1"


@dataclass
class Panel:
    """One condition: a bar for each contender, and lines at what was asked for."""

    title: str
    bars: dict[str, Ratio] = field(default_factory=dict)
    lines: dict[str, float] = field(default_factory=dict)


def draw(path: Path, title: str, unit: str, panels: list[Panel]) -> None:
    """Write them as PNG or SVG, by the path's ending; whiskers are the quartiles."""
    tallest = max(len(panel.bars) for panel in panels)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    size = (7 * columns, (1.2 + 0.27 * tallest) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis, panel in zip(axes.flat, panels, strict=False):
        _bars(axis, panel)
        axis.set_xlabel(unit)
        axis.invert_yaxis()
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axis: Axes, panel: Panel) -> None:
    names, ratios = list(panel.bars), list(panel.bars.values())
    medians = [one.median for one in ratios]
    whiskers = [[one.median - one.low for one in ratios], [one.high - one.median for one in ratios]]
    colours = [OURS if name.startswith("persistent") else OTHERS for name in names]
    axis.barh(names, medians, xerr=whiskers, color=colours, error_kw={"linewidth": 0.8, "capsize": 2})
    for place, ratio in enumerate(ratios):
        axis.text(ratio.high, place, f"  {ratio.median:.2f}", va="center", fontsize=8)
    for text, value in panel.lines.items():
        axis.axvline(value, color="#c0392b", linewidth=1, linestyle="--", label=text)
    if panel.lines:
        axis.legend(fontsize=7, loc="upper right")
    axis.set_title(panel.title, fontsize=10)
    axis.margins(x=0.15)
    axis.spines[["top", "right"]].set_visible(False)
