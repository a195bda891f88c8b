"""A plan's own proxy as its faults see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.errors import ProxyLost
from lab.fault import Link
from lab.records.words import Direction
from lab.rig.protocol import ProxyProtocol
from lab.rig.toxiproxy import toxic
from lab.wire.tap import TapPort

TOXICS: dict[str, type[toxic.Toxic]] = {
    each.kind: each
    for each in (toxic.Latency, toxic.Bandwidth, toxic.LimitData, toxic.Timeout, toxic.SlowClose, toxic.Slicer)
}


class PlanLink:
    """`lab.fault.Link` over one proxy: what was armed stays armed, every other toxic goes with the proxy.

    While the proxy's server is frozen it must not be called: each call would wait for its deadline. A `tap` in front of
    it refuses what it refuses: who listens must not answer for who does not.
    """

    def __init__(
        self, proxy: ProxyProtocol, freeze: Callable[[], None], thaw: Callable[[], None], tap: TapPort | None = None
    ) -> None:
        self._line = proxy
        self._tap = tap
        self._armed: tuple[toxic.Installed, ...] = ()
        self._refusing = False
        self._frozen = 0
        self._freeze = freeze
        self._thaw = thaw

    @property
    def armed(self) -> bool:
        """Whether connections end with RST."""
        return bool(self._armed)

    def arm_reset(self) -> None:
        """From now on every close of a new connection is an RST; more than once is once."""
        if not self._armed:
            self._proxy.arm_reset()
            self._armed = self._proxy.toxics

    def cut(self) -> None:
        """End every connection, toxics stay; the listener is back at once on the same port, or still refuses."""
        if not self._refusing:
            self._proxy.cut()

    def refuse(self) -> None:
        """End every connection and refuse new ones."""
        if self._tap is not None:
            self._tap.refuse()
        self._proxy.refuse()
        self._refusing = True

    def turn_away(self) -> None:
        """End every connection, and each new one as soon as it is there."""
        self._proxy.turn_away()
        self._refusing = True

    def accept(self) -> None:
        """Take connections again, with no toxic but those of `arm_reset`."""
        self._proxy.recreate(self._armed)
        if self._tap is not None:
            self._tap.admit()
        self._refusing = False

    def add(self, kind: str, stream: Direction, **attributes: int) -> None:
        """Install a toxic: its Toxiproxy name, our field names (unit as suffix)."""
        self._proxy.add(TOXICS[kind](**attributes), stream)

    def freeze(self) -> None:
        """Stop the proxies' server."""
        self._freeze()
        self._frozen += 1

    def thaw(self) -> None:
        """Let it run again, when as often as it was stopped."""
        self._frozen -= 1
        if not self._frozen:
            self._thaw()

    @property
    def _proxy(self) -> ProxyProtocol:
        if self._frozen:
            raise ProxyLost("the proxy server is stalled and cannot be given another fault", "heal the stall first")
        return self._line


def all_links(links: Sequence[Link]) -> Link:
    """One link that does to all of them what is done to it."""
    return links[0] if len(links) == 1 else _AllLinks(links)


class _AllLinks:
    """Several lines, treated alike; the proxies' server is one."""

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links

    @property
    def armed(self) -> bool:
        """Whether connections end with RST on all of them."""
        return all(link.armed for link in self._links)

    def arm_reset(self) -> None:
        """From now on every close of a new connection is an RST."""
        for link in self._links:
            link.arm_reset()

    def cut(self) -> None:
        """End every connection."""
        for link in self._links:
            link.cut()

    def refuse(self) -> None:
        """End every connection and refuse new ones."""
        for link in self._links:
            link.refuse()

    def turn_away(self) -> None:
        """End every connection, and each new one as soon as it is there."""
        for link in self._links:
            link.turn_away()

    def accept(self) -> None:
        """Take connections again."""
        for link in self._links:
            link.accept()

    def add(self, kind: str, stream: Direction, **attributes: int) -> None:
        """Install a toxic on all of them."""
        for link in self._links:
            link.add(kind, stream, **attributes)

    def freeze(self) -> None:
        """Stop the proxies' server."""
        for link in self._links:
            link.freeze()

    def thaw(self) -> None:
        """Let it run again."""
        for link in self._links:
            link.thaw()
