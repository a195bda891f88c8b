"""What faults that end sessions look for: those sessions are gone, and not merely their pids."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence

from faults.network._ended import established
from lab.fault import Seen, Sighting, Site, nothing
from lab.records.census import Session
from lab.timing import FIN


def look_out(site: Site, sessions: Sequence[Session], how: str, connections: Collection[int]) -> Seen:
    """Reports when all of `sessions`, of which there must be one, are missing from the census.

    `connections` are the client's own ports of those that it had before.
    """
    if not sessions:
        return nothing
    struck = tuple(session.id for session in sessions)
    left = len(connections) - len(struck)
    gone_at = math.inf

    def seen() -> Sighting | None:
        nonlocal gone_at
        alive = {session.id for session in site.sessions()}
        if alive & set(struck):
            return None
        # A session leaves the census before its farewell has reached the client: its sockets are not looked at before.
        gone_at = min(gone_at, time.monotonic())
        if len(established(site.sockets(connections))) > left and time.monotonic() < gone_at + FIN.seconds:
            return None
        return Sighting(f"{len(struck)} sessions {how}", struck)

    return seen


def new_run(site: Site, sessions: Sequence[Session], epoch: str) -> Seen:
    """Reports when another run of the server than `epoch` answers, without `sessions`, of which there may be none."""
    struck = tuple(session.id for session in sessions)

    def seen() -> Sighting | None:
        if site.server.epoch() == epoch or {session.id for session in site.sessions()} & set(struck):
            return None
        return Sighting(f"another server run; {len(struck)} sessions were open", struck)

    return seen
