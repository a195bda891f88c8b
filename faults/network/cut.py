"""What all severing faults look for: the sockets that were established are not any more."""

from __future__ import annotations

from lab.fault import Seen, Sighting, Site


def look_out(site: Site, how: str) -> Seen:
    """Ask before the cut; the look-out then reports when every connection of that time has ended."""
    sockets = {socket.port for socket in site.sockets() if socket.state == "ESTABLISHED"}
    sessions = tuple(session.id for session in site.sessions())

    def seen() -> Sighting | None:
        alive = {socket.port for socket in site.sockets() if socket.state == "ESTABLISHED"}
        if not sockets or sockets & alive:
            return None
        return Sighting(f"{len(sockets)} of {len(sockets)} connections ended with {how}", sessions)

    return seen
