"""What notices which loss after how many seconds: a variant's timeout settings, judged by measurement.

Each cell is a client of its own on a line of its own, brought into one of four situations, and then there is silence:
packets vanish (blackout, or one direction of it), or all that is sent is acknowledged and nothing comes back
(black-hole, as behind a proxy that hangs). The cells mostly wait, so they run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import msgspec
from msgspec import Struct

from lab.errors import BadInput
from lab.explore.timeout_cell import Cell, Situation, measure
from lab.fault import FAULTS
from lab.records.plan import FaultSpec
from lab.records.variant import Traits, Variant
from lab.rig.choose import remedy
from lab.rig.protocol import RigProtocol
from lab.subject.handle import Zygote

HORIZON = 12.0
"""Seconds after which a loss counts as not noticed."""

WIDTH = 32
"""Cells at once; a rig has 40 seats."""

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


class Hole(Struct, frozen=True):
    """A silence that the variant's own settings leave unnoticed, and what would notice it."""

    loss: str
    situation: Situation
    remedy: str


class TimeoutTable(Struct, frozen=True, kw_only=True):
    """The measured cells of one variant; the first row is its own settings, and `holes` are what they leave open."""

    variant: str
    driver: str
    versions: dict[str, str]
    horizon: float
    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]
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
    """Measure; takes two or three times `horizon` seconds. Call it from the main thread.

    `rows` (default: `standard_rows`) are laid on the variant's OPTIONS, the first of them is its own. Raises `BadInput`
    when the rig cannot lose packets, `EngineUnusable` when the variant does not run.
    """
    if missing := frozenset({"loss"}) - rig.capabilities:
        raise BadInput(f"the {rig.name} rig lacks {', '.join(missing)}", remedy(missing))
    chosen = tuple(rows if rows is not None else standard_rows(variant))
    with ExitStack() as stack:
        zygotes = {
            row.name: stack.enter_context(closing(Zygote(_with(variant, row), rig.folder, rig.environ())))
            for row in chosen
        }
        jobs = [(row.name, loss, situation) for row in chosen for loss, situation in _asked()]
        cells = _measure(rig, zygotes, jobs, horizon, progress)
        traits = zygotes[chosen[0].name].traits
    return TimeoutTable(
        variant=variant.name,
        driver=variant.driver,
        versions={**rig.versions(), **traits.versions},
        horizon=horizon,
        rows=chosen,
        cells=cells,
        holes=holes(chosen[0].name, cells),
        notes=tuple(_notes(traits, cells)),
    )


def standard_rows(variant: Variant) -> tuple[Row, ...]:
    """The variant's own settings, without those in its OPTIONS where it has any, and the recommended ones."""
    none = variant.module or any(key in variant.options for key in OPTIONS)
    without = (Row("without them", dict.fromkeys(OPTIONS)),) if none else ()
    return (Row("its own", {}), *without, Row("recommended", RECOMMENDED))


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


def _measure(
    rig: RigProtocol,
    zygotes: dict[str, Zygote],
    jobs: Sequence[tuple[str, str, Situation]],
    horizon: float,
    progress: Callable[[int, int], None],
) -> tuple[Cell, ...]:
    def one(job: tuple[str, str, Situation]) -> Cell:
        row, loss, situation = job
        return measure(rig, zygotes[row], row, FaultSpec(loss), situation, horizon)

    cells: list[Cell] = []
    with ThreadPoolExecutor(WIDTH) as workers:
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
