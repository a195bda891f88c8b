"""What silencing faults look for: where there was an answer there is none, and no end of the connection either."""

from __future__ import annotations

from lab.fault import Seen, Sighting, Site
from lab.timing import KNOCK, LISTEN, LISTEN_TIMES


def look_out(site: Site) -> Seen:
    """Ask before the fault; the look-out then reports when nothing comes, while the server itself still answers."""
    before = site.knock(KNOCK.seconds)
    sessions = tuple(session.id for session in site.sessions())
    listen = max(LISTEN.seconds, LISTEN_TIMES * before.seconds)

    def seen() -> Sighting | None:
        if not before.answered or not site.knock(listen).silent:
            return None
        site.sessions()  # asked past the line: raises when it is the server that does not answer
        return Sighting(f"no answer within {listen:.1f} s where there was one in {before.seconds:.3f} s", sessions)

    return seen
