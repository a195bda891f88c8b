"""What all slowing faults look for: answers come later than before, by no less than was asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.fault import Seen, Sighting, Site
from lab.records.words import Direction
from lab.timing import ANSWER_AFTER, NOISE

BASELINE = 3  # knocks before the toxic, at least, of which the fastest counts
TIMES = 5  # at most so often
CLEARLY = 0.9  # the share of the delay by which an answer must be later than before; its own time varies


@contextmanager
def slowed(site: Site, least: float, size: int, kind: str, stream: Direction, **attributes: int) -> Iterator[Seen]:
    """Install the toxic, heal at the end; seen when questions of `size` bytes take longer than before.

    By `least` seconds, that is. Healing ends the connections.
    """
    normal = _fastest(site, size, (1 - CLEARLY) * least)
    times = min(math.ceil(NOISE.seconds / least), TIMES)

    def seen() -> Sighting | None:
        late = max(least, normal + CLEARLY * least)
        took = 0.0
        for _ in range(times):
            knock = site.knock(late + least + ANSWER_AFTER.seconds, size) if normal < math.inf else None
            if knock is None or not knock.answered or (took := knock.seconds) < late:
                return None
        return Sighting(f"{size} bytes were answered in {took:.3f} s, without the fault in {normal:.3f} s")

    try:
        site.link.add(kind, stream, **attributes)
        yield seen
    finally:
        site.link.accept()


def _fastest(site: Site, size: int, enough: float) -> float:
    """Seconds for an answer before the toxic; infinite when there is none, so that nothing can be later.

    The fastest of BASELINE, or of more, until one took no longer than `enough` or NOISE is over: a baseline taken while
    the machine stood still for a moment would make an answer that the toxic delays look quick.
    """
    fastest, count, until = math.inf, 0, time.monotonic() + NOISE.seconds
    while count < BASELINE or (fastest > enough and time.monotonic() < until):
        knock = site.knock(ANSWER_AFTER.seconds, size)
        if not knock.answered:
            return math.inf
        fastest, count = min(fastest, knock.seconds), count + 1
    return fastest
