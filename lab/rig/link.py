"""A plan's own proxy as its faults see it."""

from __future__ import annotations

from collections.abc import Callable

from lab.fault import Stream
from lab.rig import toxic
from lab.rig.protocol import ProxyProtocol

TOXICS: dict[str, type[toxic.Toxic]] = {
    each.kind: each
    for each in (toxic.Latency, toxic.Bandwidth, toxic.LimitData, toxic.Timeout, toxic.SlowClose, toxic.Slicer)
}


class PlanLink:
    """`lab.fault.Link` over one proxy: what was armed stays armed, every other toxic goes with the proxy."""

    def __init__(self, proxy: ProxyProtocol, freeze: Callable[[], None], thaw: Callable[[], None]) -> None:
        self._proxy = proxy
        self._armed: tuple[toxic.Installed, ...] = ()
        self.freeze = freeze
        self.thaw = thaw

    def arm_reset(self) -> None:
        """From now on every close of a new connection is an RST; more than once is once."""
        if not self._armed:
            self._proxy.arm_reset()
            self._armed = self._proxy.toxics

    def cut(self) -> None:
        """End every connection, toxics stay; the listener is back at once on the same port."""
        self._proxy.cut()

    def refuse(self) -> None:
        """End every connection and refuse new ones."""
        self._proxy.refuse()

    def accept(self) -> None:
        """Take connections again, with no toxic but those of `arm_reset`."""
        self._proxy.recreate(self._armed)

    def add(self, kind: str, stream: Stream, **attributes: int) -> None:
        """Install a toxic: its Toxiproxy name, our field names (unit as suffix)."""
        self._proxy.add(TOXICS[kind](**attributes), stream)
