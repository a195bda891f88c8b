"""The measurement of a whole timeout table: a zygote for each row, and the cells side by side, for they mostly wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import msgspec

from lab.errors import BadInput
from lab.explore.progress import Progress, silent
from lab.explore.timeouts.cell import Cell, Situation, measure
from lab.explore.timeouts.setting import POOL_MIN, options_of, settings
from lab.explore.timeouts.table import ROWS, Row, TimeoutTable, asked, holes
from lab.records.plan import FaultSpec
from lab.records.variant import Traits, Variant
from lab.rig.capabilities import remedy
from lab.rig.protocol import RigProtocol
from lab.subject.handle import Zygote

HORIZON = 20.0
"""Seconds after which a loss counts as not noticed: a page that has been waiting so long has lost its reader."""

WIDTH = 40
"""Cells at once: as many as a rig has seats."""

SLOTS = 88
"""Connections that the cells' pools may open at once: a rig's server takes a hundred."""


def run_timeouts(
    variant: Variant,
    rig: RigProtocol,
    horizon: float = HORIZON,
    rows: Sequence[Row] | None = None,
    progress: Progress = silent,
) -> TimeoutTable:
    """Measure; takes two or three times `horizon` seconds, and more where each cell has a large pool.

    `rows` (default: `ROWS`) are laid on the variant's OPTIONS, the first of them is its own. Raises `BadInput` when the
    rig cannot lose packets, `EngineUnusable` when the variant does not run.
    """
    if missing := frozenset({"loss"}) - rig.capabilities:
        raise BadInput(f"the {rig.name} rig lacks {', '.join(missing)}", remedy(missing))
    chosen = tuple(ROWS if rows is None else rows)
    with _zygotes(variant, chosen, rig) as zygotes:
        jobs = [(row.name, loss, situation) for row in chosen for loss, situation in asked()]
        traits = zygotes[chosen[0].name].traits
        options = {**options_of(variant, traits), **chosen[0].options}
        cells = _measure(rig, zygotes, jobs, horizon, progress, _width(options, traits))
    own = [each for each in cells if each.settings == chosen[0].name]
    return TimeoutTable(
        variant=variant.name,
        driver=variant.driver,
        versions={**rig.versions(), **traits.versions},
        horizon=horizon,
        rows=chosen,
        cells=cells,
        settings=settings(options, own),
        holes=holes(chosen[0].name, cells),
        notes=tuple(_notes(traits, cells)),
    )


def _with(variant: Variant, row: Row) -> Variant:
    # None is what both drivers leave out, also when a settings module has put something there.
    return msgspec.structs.replace(variant, options={**variant.options, **row.options})


@contextmanager
def _zygotes(variant: Variant, rows: Sequence[Row], rig: RigProtocol) -> Iterator[dict[str, Zygote]]:
    """One for each row, started side by side on threads that live as long: a zygote dies with its thread."""

    def start(row: Row) -> Zygote:
        return Zygote(_with(variant, row), rig.folder, rig.environ())

    with ThreadPoolExecutor(len(rows), "zygotes") as starters, ExitStack() as stack:
        started = [starters.submit(start, row) for row in rows]
        for each in started:
            if each.exception() is None:
                stack.enter_context(closing(each.result()))
        yield {row.name: each.result() for row, each in zip(rows, started, strict=True)}


def _width(options: dict[str, Any], traits: Traits) -> int:
    """How many cells may run at once: a pool opens its smallest number of connections before it is asked for any."""
    if not traits.pool_max:
        return WIDTH
    pool = options.get("pool")
    smallest = pool.get("min_size", POOL_MIN) if isinstance(pool, dict) else POOL_MIN
    return max(min(WIDTH, SLOTS // max(smallest, 1)), 1)


def _measure(
    rig: RigProtocol,
    zygotes: dict[str, Zygote],
    jobs: Sequence[tuple[str, str, Situation]],
    horizon: float,
    progress: Progress,
    width: int,
) -> tuple[Cell, ...]:
    def one(job: tuple[str, str, Situation]) -> Cell:
        row, loss, situation = job
        return measure(rig, zygotes[row], row, FaultSpec(loss), situation, horizon)

    cells: list[Cell] = []
    with ThreadPoolExecutor(width, "cells") as workers:
        for cell in workers.map(one, jobs):
            cells.append(cell)
            progress(len(cells), len(jobs))
    return tuple(cells)


def _notes(traits: Traits, cells: Sequence[Cell]) -> list[str]:
    found = []
    if traits.pool_max:
        found.append("a pool: a checkout waits for its own timeout, and its workers connect beside the request")
    if void := sum(bool(cell.void) for cell in cells):
        found.append(f"{void} cells are void: {next(cell.void for cell in cells if cell.void)}")
    return found
