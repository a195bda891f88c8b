"""What faults that end sessions look for: those sessions are gone, and not merely their pids."""

from __future__ import annotations

from collections.abc import Sequence

from lab.fault import Seen, Sighting, Site
from lab.records.census import Session


def look_out(site: Site, sessions: Sequence[Session], how: str) -> Seen:
    """Reports when all of `sessions`, of which there must be one, are missing from the census."""
    struck = tuple(session.id for session in sessions)

    def seen() -> Sighting | None:
        alive = {session.id for session in site.sessions()}
        if not struck or alive & set(struck):
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
