"""Rules: at which moment the tap does what, and to whom."""

from __future__ import annotations

from typing import get_args

import msgspec

from lab.errors import BadInput, UnknownName
from lab.records.moment import Moment
from lab.records.words import DEFAULT_DELAY_MS, WAYS, Sides, Way


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Act in one `way` when a `moment` is reached.

    `sides` says who is hit: the client, the server, or both (default); for stall, delay and split that is the peer
    towards which bytes are held, for half-close the peer that reads an end. `drop-reply` hits the client in any
    case. After a fin or rst of one side only, the other side's connection stays open, what it sends is swallowed, and
    it ends when that peer ends it. `delay_ms` is for the way delay alone (default 100). A rule acts once, or with
    `repeat` at its occurrence and each later one.
    """

    moment: Moment
    way: Way
    sides: Sides = "both"
    delay_ms: int = DEFAULT_DELAY_MS
    repeat: bool = False

    def __post_init__(self) -> None:
        if self.delay_ms < 0:
            raise ValueError("delay_ms is 0 or more")

    @classmethod
    def parse(
        cls, at: str, way: str, sides: str = "both", *, delay_ms: int = DEFAULT_DELAY_MS, repeat: bool = False
    ) -> Rule:
        """Make a rule from the command line's words. Raise UnknownName or BadInput when one of them is not known."""
        moment = Moment.parse(at)
        if way not in WAYS:
            raise UnknownName(f"no way is called {way!r}", f"use one of {', '.join(WAYS)}")
        if sides not in get_args(Sides):
            raise UnknownName(f"no side is called {sides!r}", f"use one of {', '.join(get_args(Sides))}")
        try:
            return msgspec.convert(
                {"moment": moment, "way": way, "sides": sides, "delay_ms": delay_ms, "repeat": repeat}, cls
            )
        except msgspec.ValidationError as problem:
            raise BadInput(str(problem), "give a delay of 0 ms or more") from None

    def __str__(self) -> str:
        whom = "" if self.sides == "both" else f" {self.sides}"
        return f"{self.way}{whom} at {self.moment}"

    def says(self) -> str:
        """The rule in words, for the line that a tool prints before it acts."""
        whom = "client" if self.way == "drop-reply" else {"both": "client and server"}.get(self.sides, self.sides)
        how_long = f" for {self.delay_ms} ms" if self.way == "delay" else ""
        return f"{self.way} ({whom}){how_long} at {self.moment.says()}, {'every time' if self.repeat else 'once'}"
