"""What losing faults do and look for: segments that one end sends and the other never gets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from lab.fault import Leg, Lost, Net, Seen, Sighting, Site
from lab.records.words import Sides

NOTHING = Lost(0, 0, 0)
CLIENT: tuple[Leg, ...] = ("client",)


@contextmanager
def losing(
    site: Site, towards: Sides, legs: Collection[Leg] = CLIENT, ports: Collection[int] | None = None
) -> Iterator[Seen]:
    """Drop for the length of the block; `ports` None: on all connections, and new ones get no answer.

    Seen when every connection has lost a segment in each direction asked for, and none passes unanswered.
    """
    struck = tuple(session.id for session in site.sessions())
    before = {leg: site.net.lost(leg) for leg in legs}
    chosen = {leg: [port for port in before[leg] if ports is None or port in ports] for leg in legs}

    def seen() -> Sighting | None:
        if ports is None and "client" in legs and site.net.answers() is not False:
            return None
        count = 0
        for leg in legs:
            lost = lost_since(site.net, leg, before[leg])
            if any(port in lost and not _shows(lost[port], towards) for port in chosen[leg]):
                return None
            count += sum(lost[port].to_server + lost[port].to_client for port in chosen[leg] if port in lost)
        if not count and ports is not None:
            return None
        fresh = ", and a fresh one gets no answer" if ports is None and "client" in legs else ""
        among = sum(len(each) for each in chosen.values())
        return Sighting(f"{max(count, 0)} segments sent and not got on {among} connections{fresh}", struck)

    try:
        for leg in legs:
            site.net.drop(towards, leg, ports)
        yield seen
    finally:
        for leg in legs:
            site.net.restore(leg)


def lost_since(net: Net, leg: Leg, before: dict[int, Lost]) -> dict[int, Lost]:
    """What was lost since then, after making both ends of every connection send something."""
    net.provoke(leg)
    found = {}
    for port, now in net.lost(leg).items():
        was = before.get(port, NOTHING)
        found[port] = Lost(
            now.to_server - was.to_server, now.to_client - was.to_client, now.retransmitted - was.retransmitted
        )
    return found


def _shows(lost: Lost, towards: Sides) -> bool:
    """Whether it lost what it should; a segment that was lost before it could be answered is lost both ways."""
    if towards == "server":
        return lost.to_server > 0
    if towards == "client":
        return lost.to_client > 0
    return lost.to_server > 0 or lost.to_client > 0
