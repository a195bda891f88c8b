"""A plan's wire as its faults see it: the tap's ports in front of its proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lab.errors import BadInput
from lab.fault import Acted
from lab.records.words import DEFAULT_DELAY_MS, Sides, Way
from lab.wire.journal import Act
from lab.wire.rule import Rule
from lab.wire.tap import TapPort


class PlanWire:
    """`lab.fault.Wire` over the tap's ports of a plan, one for each alias; without any only looking works."""

    def __init__(self, ports: Mapping[str, TapPort]) -> None:
        self._ports = dict(ports)

    def arm(self, moment: str, way: Way, sides: Sides = "both", *, delay_ms: int = DEFAULT_DELAY_MS) -> None:
        """Act once on each port when the moment comes; raises BadInput where nothing is tapped."""
        rule = Rule.parse(moment, way, sides, delay_ms=delay_ms)
        if not self._ports:
            raise BadInput(f"{rule} cannot be armed: the plan's line is not tapped", "let run() put the tap in")
        for port in self._ports.values():
            port.arm(rule)

    def acts(self) -> tuple[Acted, ...]:
        """What was done so far, on all ports in the order of time."""
        found = [_acted(act) for port in self._ports.values() for act in port.landed if act.moment != "now"]
        return tuple(sorted(found, key=lambda acted: acted.at_ns))

    def disarm(self) -> None:
        """Forget what has not been done yet."""
        for port in self._ports.values():
            port.disarm()

    def resume(self) -> None:
        """End all stalls."""
        for port in self._ports.values():
            port.resume()

    def sever(self) -> None:
        """End the connections on which something was done."""
        for port in self._ports.values():
            for connection in {act.connection for act in port.landed}:
                port.act("fin", connection)

    def journal(self, start_ns: int) -> tuple[dict[str, Any], ...]:
        """All ports' journals in the order of time, as plain data.

        `at_ns` counts from `start_ns`; records of another port than the default's say whose in `alias`.
        """
        found: list[dict[str, Any]] = []
        for alias, port in self._ports.items():
            for record in port.journal:
                data: dict[str, Any] = msgspec.to_builtins(record)
                data["at_ns"] -= start_ns
                if alias != "default":
                    data["alias"] = alias
                found.append(data)
        return tuple(sorted(found, key=lambda data: int(data["at_ns"])))


def _acted(act: Act) -> Acted:
    where = f"in {act.message}, {act.byte} of its bytes passed" if act.message else "between messages"
    return Acted(act.moment, act.way, where, act.pid, act.at_ns)
