"""A plan's own proxy as its faults see it."""

from __future__ import annotations

from collections.abc import Callable

from lab.errors import ProxyLost
from lab.fault import Stream
from lab.rig import toxic
from lab.rig.protocol import ProxyProtocol

TOXICS: dict[str, type[toxic.Toxic]] = {
    each.kind: each
    for each in (toxic.Latency, toxic.Bandwidth, toxic.LimitData, toxic.Timeout, toxic.SlowClose, toxic.Slicer)
}


class PlanLink:
    """`lab.fault.Link` over one proxy: what was armed stays armed, every other toxic goes with the proxy.

    While the proxy's server is frozen it must not be called: each call would wait for its deadline.
    """

    def __init__(self, proxy: ProxyProtocol, freeze: Callable[[], None], thaw: Callable[[], None]) -> None:
        self._line = proxy
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
        self._proxy.refuse()
        self._refusing = True

    def accept(self) -> None:
        """Take connections again, with no toxic but those of `arm_reset`."""
        self._proxy.recreate(self._armed)
        self._refusing = False

    def add(self, kind: str, stream: Stream, **attributes: int) -> None:
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
