"""What wire faults share: arm the tap, and look in its journal for what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec

from lab.fault import Seen, Sides, Sighting, Site, Way

MomentText = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(c[1-9][0-9]*:)?([a-z-]+(:[1-9][0-9]*)?(\+[0-9]+)?|(up|down)(#[1-9][0-9]*(\+[0-9]+)?|@[0-9]+))$"
    ),
]
"""A moment as lab/wire/moment.py reads it, e.g. `commit-acked+0`, `c1:query-sent:2`, `up#5`, `down@410`."""

ANSWER_LOST = "command-complete+0"
"""The moment when a statement has been executed and nobody has been told."""


@contextmanager
def acting(
    site: Site, moment: str, way: Way, sides: Sides, heal: Callable[[], None] = lambda: None, delay_ms: int = 100
) -> Iterator[Seen]:
    """Arm; seen when the tap has acted at that moment. What has not come by the heal does not come any more."""
    before = len(site.wire.acts())
    site.wire.arm(moment, way, sides, delay_ms=delay_ms)

    def seen() -> Sighting | None:
        for act in site.wire.acts()[before:]:
            if (act.moment, act.way) == (moment, way):
                struck = (f"{act.pid}@",) if act.pid and way in ENDING else ()
                return Sighting(f"the tap's journal: {way} at {moment}, {act.where}", struck, act.at_ns)
        return None

    try:
        yield seen
    finally:
        site.wire.disarm()
        heal()


ENDING = ("fin", "rst", "half-close", "drop-reply")
"""Ways after which the session is of no use to the client."""
