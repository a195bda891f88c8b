"""The timeout table: which losses and situations are measured under which settings, and what they leave unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from lab.explore.timeouts.cell import Cell, Situation
from lab.explore.timeouts.setting import Setting
from lab.fault import FAULTS

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
"""libpq's timeouts, as written in OPTIONS: in seconds, but tcp_user_timeout in milliseconds."""

RECOMMENDED: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
"""Every loss is noticed within some five seconds: less would give up where a network merely drops packets at times."""

WITHOUT: dict[str, Any] = dict.fromkeys(OPTIONS)
"""None takes an option out: the operating system's own timeouts are left."""

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
"""What would notice a loss: packets that vanish, or bytes that are acknowledged and never answered."""


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

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.format(msgspec.json.encode(self, enc_hook=str), indent=1) + b"\n"


def holes(row: str, cells: Sequence[Cell]) -> tuple[Hole, ...]:
    """What that row leaves unnoticed."""
    return tuple(
        Hole(cell.loss, cell.situation, advice(cell.loss)[cell.situation])
        for cell in cells
        if cell.settings == row and cell.seconds is None and not cell.void
    )


def advice(loss: str) -> dict[Situation, str]:
    """What would notice this loss, in each situation in which there is something to notice."""
    return ADVICE["packets" if "loss" in FAULTS.get(loss).needs else "acknowledged"]


def asked() -> list[tuple[str, Situation]]:
    """The losses and situations that are measured: behind an acknowledged silence an idle client notices nothing."""
    return [(loss, situation) for loss in LOSSES for situation in SITUATIONS if situation in advice(loss)]
