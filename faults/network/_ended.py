"""What severing faults look for: connections that were there have ended, and the client did not close them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from lab.fault import Seen, Sighting, Site, Socket, nothing

ENDED_BY_FIN = {"CLOSE_WAIT", "LAST_ACK"}


def established(sockets: Iterable[Socket]) -> set[int]:
    """The ports of the connections that neither side has ended."""
    return {socket.port for socket in sockets if socket.state == "ESTABLISHED"}


def struck(before: set[int], sockets: Iterable[Socket], armed: bool) -> tuple[set[int], set[int]]:
    """Which of `before` were ended by the other side with FIN, and which by RST.

    One that has vanished was reset, or its client has closed it after a FIN: on an armed line nothing ends with FIN
    but what the client closes, on another one nothing is reset.
    """
    states = {socket.port: socket.state for socket in sockets}
    fin = {port for port in before if states.get(port) in ENDED_BY_FIN}
    gone = before - states.keys()
    return (fin, gone) if armed else (fin | gone, set())


@contextmanager
def severed(site: Site, how: Literal["fin", "rst"]) -> Iterator[Seen]:
    """Cut; seen when every connection of that time has ended in that way, and so has one of our own."""
    before = site.established()
    if not before:
        yield nothing
        return
    sessions = tuple(session.id for session in site.sessions())
    with site.witness() as end:

        def seen() -> Sighting | None:
            now = site.sockets(before)
            fin, rst = struck(before, now, site.link.armed)
            ended, otherwise = (rst, fin) if how == "rst" else (fin, rst)
            if not ended or otherwise or established(now) & before or end() != how:
                return None
            return Sighting(f"{len(ended)} of {len(before)} connections ended with {how.upper()}", sessions)

        site.link.cut()
        yield seen
