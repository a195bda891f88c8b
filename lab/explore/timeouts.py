"""What notices which loss after how many seconds: a variant's timeout settings, judged by measurement.

Each cell is a client of its own on a line of its own, brought into one of four situations, and then there is silence:
packets vanish (blackout, or one direction of it), or all that is sent is acknowledged and nothing comes back
(black-hole, as behind a proxy that hangs). The cells mostly wait, so they run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from lab.errors import BadInput
from lab.explore.timeout_cell import Cell, Situation, measure
from lab.explore.timeout_setting import POOL_MIN, Setting, options_of, settings
from lab.fault import FAULTS
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

LOSSES = ("blackout", "drop-to-server", "drop-to-client", "black-hole")
SITUATIONS: tuple[Situation, ...] = ("connects", "sends", "waits", "idle")
OPTIONS = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
"""libpq's, as written in OPTIONS. The first is in seconds as the next ones are, the last in milliseconds."""

RECOMMENDED: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
"""Everything is noticed within some five seconds: as short as one dares on a network that drops packets at times."""

WITHOUT: dict[str, Any] = dict.fromkeys(OPTIONS)

ADVICE: dict[str, dict[Situation, str]] = {
    "packets": {
        "connects": "set connect_timeout",
        "sends": "set tcp_user_timeout",
        "waits": "set keepalives_idle, keepalives_interval, keepalives_count",
        "idle": "set keepalives_idle, keepalives_interval, keepalives_count",
    },
    "acknowledged": {
        "connects": "set connect_timeout",
        "sends": "no setting of libpq helps: it takes a deadline in the client",
        "waits": "no setting of libpq helps: it takes a deadline in the client",
    },
}


class Row(Struct, frozen=True):
    """One set of timeouts: its name and what it puts into OPTIONS, None for what it takes out."""

    name: str
    options: dict[str, Any]


ROWS = (Row("its own", {}), Row("without them", WITHOUT), Row("recommended", RECOMMENDED))
"""The variant as it is, without libpq's timeouts (what is then noticed is its own doing), and with ours."""


class Hole(Struct, frozen=True):
    """A silence that the variant's own settings leave unnoticed, and what would notice it."""

    loss: str
    situation: Situation
    remedy: str


class TimeoutTable(Struct, frozen=True, kw_only=True):
    """The measured cells of one variant, of the same shape for each.

    The first row is its own settings; `settings` judges each of them, and `holes` are what they leave open.
    """

    variant: str
    driver: str
    versions: dict[str, str]
    horizon: float
    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]
    settings: tuple[Setting, ...]
    holes: tuple[Hole, ...]
    notes: tuple[str, ...] = ()

    def cell(self, row: str, loss: str, situation: str) -> Cell | None:
        """That cell; None where there is nothing to measure."""
        wanted = (row, loss, situation)
        return next((cell for cell in self.cells if (cell.settings, cell.loss, cell.situation) == wanted), None)


def run_timeouts(
    variant: Variant,
    rig: RigProtocol,
    horizon: float = HORIZON,
    rows: Sequence[Row] | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> TimeoutTable:
    """Measure; takes two or three times `horizon` seconds, and more where each cell has a large pool.

    `rows` (default: `ROWS`) are laid on the variant's OPTIONS, the first of them is its own. Raises `BadInput` when the
    rig cannot lose packets, `EngineUnusable` when the variant does not run.
    """
    if missing := frozenset({"loss"}) - rig.capabilities:
        raise BadInput(f"the {rig.name} rig lacks {', '.join(missing)}", remedy(missing))
    chosen = tuple(ROWS if rows is None else rows)
    with _zygotes(variant, chosen, rig) as zygotes:
        jobs = [(row.name, loss, situation) for row in chosen for loss, situation in _asked()]
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


def holes(row: str, cells: Sequence[Cell]) -> tuple[Hole, ...]:
    """What that row leaves unnoticed."""
    return tuple(
        Hole(cell.loss, cell.situation, _advice(cell.loss)[cell.situation])
        for cell in cells
        if cell.settings == row and cell.seconds is None and not cell.void
    )


def _advice(loss: str) -> dict[Situation, str]:
    return ADVICE["packets" if "loss" in FAULTS.get(loss).needs else "acknowledged"]


def _asked() -> list[tuple[str, Situation]]:
    """Behind an acknowledged silence an idle client has nothing to notice."""
    return [(loss, situation) for loss in LOSSES for situation in SITUATIONS if situation in _advice(loss)]


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
    """How many cells may run at once: a pool opens its smallest number of connections before anybody asks."""
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
    progress: Callable[[int, int], None],
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
