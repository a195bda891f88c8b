"""The record of one run: everything a judge may look at, and nothing else."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from lab.records.census import Census, Row
from lab.records.history import Event, Op
from lab.records.landing import Landing
from lab.records.plan import Plan
from lab.records.variant import Traits

Fate = Literal["ended", "killed", "died", "struck"]
LineKind = Literal["proxy", "tap", "direct"]


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Plan, history, census and server truth of one run.

    `fate` is the subject's: it ended by itself, was `killed` because a step missed its deadline, was `struck` by a
    fault of the plan that was to end it, or `died` (`exit` says how). `void` says why the run proves nothing, "" when
    it counts. `rows` are the tokens that the server holds at the end. `xacts` says what became of the transactions
    whose numbers writes brought back, where a call raised (pg_xact_status). `journal` is what the wire tap saw, as
    lab/wire/journal.py writes it, with times of this run.
    `line` is the way that the subject had to the server: a `proxy` of the plan's own, one with the wire `tap` in front,
    or a `direct` way, where nothing in the plan strikes it.
    `began` is when the run began by the wall clock, in seconds since 1970, to lay the server's log beside it; 0 where
    that is not known.
    """

    plan: Plan
    run: str
    traits: Traits = field(default_factory=Traits)
    ops: tuple[Op, ...] = ()
    events: tuple[Event, ...] = ()
    census: tuple[Census, ...] = ()
    landings: tuple[Landing, ...] = ()
    journal: tuple[dict[str, Any], ...] = ()
    rows: tuple[Row, ...] = ()
    xacts: dict[str, str] = field(default_factory=dict)
    line: LineKind = "proxy"
    fate: Fate = "ended"
    exit: str = ""
    void: str = ""
    seconds: float = 0.0
    began: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def maximum(self) -> int:
        """How many sessions of an alias each process may have: as is stated, else its pool's; 0: neither is known."""
        return self.plan.variant.maximum or self.traits.pool_max

    @property
    def landed(self) -> tuple[Landing, ...]:
        """The faults that were seen to strike."""
        return tuple(landing for landing in self.landings if landing.landed)
