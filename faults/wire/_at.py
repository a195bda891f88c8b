"""What wire faults share: arm the tap, and look in its journal for what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from lab.fault import Fault, Seen, Sighting, Site
from lab.records.moment import Moment, MomentText
from lab.records.words import DEFAULT_DELAY_MS, Sides, Way

ANSWER_LOST = "command-complete+0"
"""The moment when the server has executed a statement and the client has not been told."""


class AtMoment(Fault):
    """A fault of the tap at a `moment`; refuses text that is no moment."""

    moment: MomentText = ANSWER_LOST

    def __post_init__(self) -> None:
        Moment.parse(self.moment)


@contextmanager
def acting(
    site: Site,
    moment: str,
    way: Way,
    sides: Sides,
    heal: Callable[[], None] = lambda: None,
    delay_ms: int = DEFAULT_DELAY_MS,
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


def cutting(site: Site, moment: str, way: Literal["fin", "rst"], sides: Sides) -> AbstractContextManager[Seen]:
    """Arm a cut. Where it meets one side alone, the heal ends what the other still has of the connection."""
    return acting(site, moment, way, sides, site.wire.sever if sides != "both" else lambda: None)


ENDING = ("fin", "rst", "half-close", "drop-reply")
"""Ways after which the session is of no use to the client."""
