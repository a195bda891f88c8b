"""What silencing faults look for: where there was an answer there is none, and no end of the connection either."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait

from lab.fault import Seen, Sighting, Site
from lab.timing import KNOCK, LAND, LISTEN, LISTEN_PAST, LISTEN_TIMES

BESIDE = 0.02
"""Seconds between two questions past the line, while one through it waits for an answer."""


def look_out(site: Site) -> Seen:
    """Ask before the fault; the look-out then reports when nothing comes, while the server itself still answers.

    A busy machine is silent, too, for a while: so what is silent must be so for many times as long as the server takes
    meanwhile to answer past the line. Where that is longer than was listened, nothing is reported, and the next look
    listens longer.
    """
    before = site.knock(KNOCK.seconds)
    sessions = tuple(session.id for session in site.sessions())
    listen = max(LISTEN.seconds, LISTEN_TIMES * before.seconds)

    def seen() -> Sighting | None:
        nonlocal listen
        if not before.answered:
            return None
        listened = listen
        with ThreadPoolExecutor(1) as beside:
            knock = beside.submit(site.knock, listened)
            slowest = _past_the_line(site)
            while wait([knock], BESIDE).not_done:
                slowest = max(slowest, _past_the_line(site))
        listen = max(listen, min(LISTEN_PAST * slowest, LAND.seconds))
        if not knock.result().silent or LISTEN_PAST * slowest > listened:
            return None
        return Sighting(f"no answer within {listened:.1f} s where there was one in {before.seconds:.3f} s", sessions)

    return seen


def _past_the_line(site: Site) -> float:
    """Seconds in which the server answers; raises where it is the server that does not."""
    begun = time.monotonic()
    site.sessions()
    return time.monotonic() - begun
