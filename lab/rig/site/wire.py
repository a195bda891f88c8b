"""A plan's wire as its faults see it: the tap's lines in front of its proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lab.errors import BadInput
from lab.fault import Acted
from lab.records.words import DEFAULT_DELAY_MS, Sides, Way
from lab.wire.journal import Act
from lab.wire.rule import Rule
from lab.wire.tap import Line


class PlanWire:
    """`lab.fault.Wire` over the lines of a plan, one for each alias; without lines only looking works."""

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self._lines = dict(lines)

    def arm(self, moment: str, way: Way, sides: Sides = "both", *, delay_ms: int = DEFAULT_DELAY_MS) -> None:
        """Act once on each line when the moment comes; raises BadInput where nothing is tapped."""
        rule = Rule.parse(moment, way, sides, delay_ms=delay_ms)
        if not self._lines:
            raise BadInput(f"{rule} cannot be armed: the plan's line is not tapped", "let run() put the tap in")
        for line in self._lines.values():
            line.arm(rule)

    def acts(self) -> tuple[Acted, ...]:
        """What was done so far, on all lines in the order of time."""
        found = [_acted(act) for line in self._lines.values() for act in line.landed if act.moment != "now"]
        return tuple(sorted(found, key=lambda acted: acted.at_ns))

    def disarm(self) -> None:
        """Forget what has not been done yet."""
        for line in self._lines.values():
            line.disarm()

    def resume(self) -> None:
        """End all stalls."""
        for line in self._lines.values():
            line.resume()

    def sever(self) -> None:
        """End the connections on which something was done."""
        for line in self._lines.values():
            for connection in {act.connection for act in line.landed}:
                line.act("fin", connection)

    def journal(self, start_ns: int) -> tuple[dict[str, Any], ...]:
        """All lines' journals in the order of time, as plain data.

        `at_ns` counts from `start_ns`; records of another line than the default's say whose in `alias`.
        """
        found: list[dict[str, Any]] = []
        for alias, line in self._lines.items():
            for record in line.journal:
                data: dict[str, Any] = msgspec.to_builtins(record)
                data["at_ns"] -= start_ns
                if alias != "default":
                    data["alias"] = alias
                found.append(data)
        return tuple(sorted(found, key=lambda data: int(data["at_ns"])))


def _acted(act: Act) -> Acted:
    where = f"in {act.message}, {act.byte} of its bytes passed" if act.message else "between messages"
    return Acted(act.moment, act.way, where, act.pid, act.at_ns)
