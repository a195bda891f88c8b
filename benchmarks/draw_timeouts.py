"""The timeout tables and pictures of docs/timeouts.md, from measurements.

    .venv/bin/python benchmarks/draw_timeouts.py --measure     # six minutes: docs/timeouts.json, in the netns rig
    .venv/bin/python benchmarks/draw_timeouts.py               # docs/timeouts-*.svg from it; prints the tables

Measuring needs Linux, neither root nor Docker; drawing needs matplotlib (requirements-bench.txt).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from lab.explore.timeouts.cell import Cell
from lab.explore.timeouts.run import run_timeouts
from lab.explore.timeouts.table import LOSSES, RECOMMENDED, ROWS, SITUATIONS, Row, TimeoutTable
from lab.records.variant import Driver, Variant
from lab.report.timeouts import HEADINGS
from lab.rig import rigs

DOCS = Path(__file__).resolve().parents[1] / "docs"
DATA = DOCS / "timeouts.json"
DRIVERS: tuple[Driver, ...] = ("psycopg2", "psycopg")
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": 2}
ONE_BY_ONE = (
    Row("defaults", {}),
    Row("connect_timeout=3", {"connect_timeout": 3}),
    Row("keepalives 1/1/2", KEEPALIVES),
    Row("tcp_user_timeout=2000", {"tcp_user_timeout": 2000}),
    Row("statement_timeout=4s", {"options": "-c statement_timeout=4s"}),
    Row("recommended", RECOMMENDED),
)
REPAIRED = "backend_under_test.persistent_threadlocal"
CONNECTIONS = 200
LATEST = 20.0  # seconds: the darkest colour


def measure() -> dict[str, TimeoutTable]:
    """Every table, by its name, measured one after the other."""
    rig_name = rigs.prepare("netns")
    asked: dict[str, tuple[Variant, tuple[Row, ...]]] = {}
    for driver in DRIVERS:
        asked[f"stock-{driver}"] = (Variant(name="stock Django", driver=driver), ONE_BY_ONE)
    for driver in DRIVERS:
        repaired = Variant(name="persistent_threadlocal", engine=REPAIRED, driver=driver)
        asked[f"repaired-{driver}"] = (repaired, (ROWS[0], ROWS[2]))
    tables = {}
    with rigs.open_rig(rig_name, max_connections=CONNECTIONS) as rig:
        for name, (variant, rows) in asked.items():
            tables[name] = run_timeouts(variant, rig, LATEST, rows)
            print(f"{name}: {len(tables[name].cells)} cells", file=sys.stderr)
    return tables


def draw(path: Path, title: str, parts: list[tuple[str, TimeoutTable, Row]]) -> None:
    """One coloured table: a band of four lines for each part (its name, the table and the row of it)."""
    import matplotlib as mpl  # noqa: PLC0415 - measuring needs none of it

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "timeouts", "svg.fonttype": "none"})  # the same file from the same figures
    from matplotlib import pyplot as plt  # noqa: PLC0415

    lines = len(parts) * len(SITUATIONS)
    figure, axis = plt.subplots(figsize=(11, 1.2 + 0.32 * lines))
    colours = mpl.colormaps["YlOrRd"]
    for place, (name, table, row) in enumerate(parts):
        top = place * (len(SITUATIONS) + 0.4)
        axis.text(-1.05, top + len(SITUATIONS) / 2, name, ha="right", va="center", fontsize=9, fontweight="bold")
        for below, situation in enumerate(SITUATIONS):
            axis.text(-0.08, top + below + 0.5, f"client {situation}", ha="right", va="center", fontsize=8)
            for across, loss in enumerate(LOSSES):
                cell = table.cell(row.name, loss, situation)
                text, seconds = _shown(cell, table.horizon)
                colour: Any = "#eeeeee" if seconds is None else colours(0.05 + 0.75 * min(seconds / LATEST, 1.0))
                axis.add_patch(plt.Rectangle((across, top + below), 0.98, 0.94, color=colour))
                dark = seconds is not None and seconds >= LATEST
                colour = "white" if dark else "black"
                axis.text(across + 0.49, top + below + 0.5, text, ha="center", va="center", fontsize=7.5, color=colour)
    axis.set_xlim(-2.6, len(LOSSES))
    axis.set_ylim(len(parts) * (len(SITUATIONS) + 0.4), -0.7)
    for across, loss in enumerate(LOSSES):
        axis.text(across + 0.49, -0.35, HEADINGS[loss], ha="center", va="center", fontsize=9)
    axis.set_axis_off()
    axis.set_title(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def markdown(one: TimeoutTable, other: TimeoutTable) -> str:
    """Both drivers in one table, "3.0 / 3.6" where they differ."""
    lines = [
        "| settings | the client | " + " | ".join(f"{HEADINGS[loss]} (`{loss}`)" for loss in LOSSES) + " |",
        "|---|---|" + "---|" * len(LOSSES),
    ]
    for row in one.rows:
        for place, situation in enumerate(SITUATIONS):
            cells = [[table.cell(row.name, loss, situation) for table in (one, other)] for loss in LOSSES]
            texts = [_both(*pair) for pair in cells]
            lines.append(f"| {'' if place else row.name} | {situation} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def _both(one: Cell | None, other: Cell | None) -> str:
    if one is None or other is None:
        return "–"
    if one.void or other.void:
        return "void"
    texts = ["never" if each.seconds is None else f"{each.seconds:.1f}" for each in (one, other)]
    by = " or ".join(dict.fromkeys(each.by for each in (one, other) if each.by))
    return " / ".join(dict.fromkeys(texts)) + (f" ({by})" if by else "")


def _shown(cell: Cell | None, horizon: float) -> tuple[str, float | None]:
    """What is written in a cell, and its seconds for the colour."""
    if cell is None or cell.void:
        return ("" if cell is None else "void"), None
    if cell.seconds is None:
        return f"not within {horizon:g} s", horizon
    return f"{cell.seconds:.1f} s  {cell.by}", cell.seconds


def main() -> None:
    """Measure, or draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="measure anew and write docs/timeouts.json")
    if parser.parse_args().measure:
        DATA.write_bytes(msgspec.json.format(msgspec.json.encode(measure(), enc_hook=str), indent=1) + b"\n")
        return
    tables = msgspec.json.decode(DATA.read_bytes(), type=dict[str, TimeoutTable])
    stock, repaired = tables["stock-psycopg2"], tables["repaired-psycopg2"]
    title = "Seconds until stock Django notices a silence, by libpq settings"
    draw(DOCS / "timeouts-settings.svg", title, [(row.name, stock, row) for row in stock.rows])
    own, better = repaired.rows
    parts = [
        ("stock Django,\ndefaults", stock, stock.rows[0]),
        ("stock Django,\nrecommended", stock, stock.rows[-1]),
        ("persistent_threadlocal,\nits own", repaired, own),
        ("persistent_threadlocal,\nrecommended", repaired, better),
    ]
    draw(DOCS / "timeouts-variants.svg", "Seconds until a silence is noticed", parts)
    for table in tables.values():
        print(
            ", ".join(f"{key} {value}" for key, value in table.versions.items()),
            *table.notes,
            sep="\n",
            file=sys.stderr,
        )
    for subject in ("stock", "repaired"):
        print(markdown(*(tables[f"{subject}-{driver}"] for driver in DRIVERS)))


if __name__ == "__main__":
    main()
