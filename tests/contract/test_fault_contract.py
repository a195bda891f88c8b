"""One suite over every registered fault: it lands and is seen, it heals on every path, and it never lies."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fix_fault import Line, OpenLine
from lab.fault import FAULTS, NOTHING, Fault, Sighting

KINDS = list(FAULTS)
AGAIN = [kind for kind in KINDS if not FAULTS.get(kind).fatal]
"""What leaves the client alive, so that it can be applied again."""
MAKE_A_DEAD_LINE = {"refuse", "reject", "cut-first-answer"}
NEED_A_LINE = [kind for kind in AGAIN if FAULTS.get(kind).family != "server" and kind not in MAKE_A_DEAD_LINE]
MEET = 0.3  # seconds in which what a query under way meets is seen
AT_REST = "SELECT pg_sleep(0.1)"


class BodyRaised(Exception):
    pass


def strike(line: Line, fault: Fault) -> Sighting | None:
    """What was seen of a fault that struck a client in a transaction; a lazy one meets a query under way."""
    line.client.connect()
    if not fault.lazy:
        with fault.strike(line.site) as seen:
            return line.sight(seen)
    line.client.send("sql", text=AT_REST)
    time.sleep(0.02)
    with fault.strike(line.site) as seen:
        if not fault.waits:
            line.client.answer()
            line.client.do("read")
        sighting = line.sight(seen, MEET)
        if sighting is None:  # it may be for whoever connects
            line.client.try_to_connect()
            sighting = line.sight(seen)
    if fault.waits:
        line.client.answer()
    return sighting


@pytest.mark.parametrize("kind", AGAIN)
def test_fault_lands_and_heals_as_often_as_it_is_applied(kind: str, open_line: OpenLine) -> None:
    fault = FAULTS.get(kind)()
    line = open_line(fault)
    for _ in range(2):
        sighting = strike(line, fault)
        assert sighting is not None, "not seen to land"
        assert sighting.evidence
        line.as_before()


@pytest.mark.parametrize("kind", AGAIN)
def test_fault_heals_when_what_it_encloses_raises(kind: str, open_line: OpenLine) -> None:
    fault = FAULTS.get(kind)()
    line = open_line(fault)
    line.client.connect()
    with pytest.raises(BodyRaised), fault.strike(line.site):
        raise BodyRaised
    line.as_before()


@pytest.mark.parametrize("kind", AGAIN)
def test_fault_struck_within_itself_heals(kind: str, open_line: OpenLine) -> None:
    fault = FAULTS.get(kind)()
    line = open_line(fault)
    line.client.connect()
    try:
        with fault.strike(line.site) as outer:
            outer()
            with fault.strike(line.site) as inner:
                inner()
    finally:
        line.as_before()


@pytest.mark.parametrize("kind", KINDS)
def test_fault_that_does_nothing_is_not_seen(kind: str, open_line: OpenLine) -> None:
    """Its tools are blunt; the client rests, works, and closes its connections by itself."""
    fault = FAULTS.get(kind)()
    line = open_line(fault)
    line.client.connect()
    with fault.strike(Blunt(line.site)) as seen:
        assert seen() in (None, NOTHING)
        line.client.ok("read")
        line.client.send("sql", text=AT_REST)
        assert seen() in (None, NOTHING)
        line.client.answer()
        line.client.ok("leave")
        line.client.do("end")
        line.client.do("close")
        assert seen() in (None, NOTHING)
        line.client.ok("begin")
        line.client.ok("read")
        assert line.sight(seen, 0.05) is None


@pytest.mark.parametrize("kind", NEED_A_LINE)
def test_fault_on_a_dead_line_is_not_seen(kind: str, open_line: OpenLine) -> None:
    """Nobody is connected and nobody can connect: silence of that kind is no black hole."""
    fault = FAULTS.get(kind)()
    line = open_line(fault, direct=False)
    line.site.link.refuse()
    try:
        with fault.strike(line.site) as seen:
            assert line.sight(seen, 0.05) is None
    finally:
        line.site.link.accept()


class Blunt:
    """A site at which everything can be seen and nothing be done."""

    def __init__(self, site: Any) -> None:
        self._site = site
        self.link = BluntTool(site.link, armed=site.link.armed)
        self.server = BluntTool(site.server)
        self.subject = BluntTool(site.subject)

    def give(self, user: str, password: str) -> None:
        """No deed is done."""

    @property
    def net(self) -> Any:
        return BluntTool(self._site.net)

    @property
    def wire(self) -> Any:
        return BluntTool(self._site.wire)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site, name)


class BluntTool:
    """Looks go through, deeds do nothing and say that they did something."""

    OF_SERVER = ("stopped", "fatal_ends", "epoch", "full", "value", "restarts", "throttled", "memory_kills")
    OF_SUBJECT = ("pid", "pids", "interrupted", "found_idle", "ended", "handles")
    OF_NET = ("connections", "lost", "provoke", "answers", "link_drops")
    OF_WIRE = ("acts", "check")
    LOOKS = (*OF_SERVER, *OF_SUBJECT, *OF_NET, *OF_WIRE)

    def __init__(self, tool: Any, **fixed: Any) -> None:
        self._tool = tool
        self.__dict__.update(fixed)

    def __getattr__(self, name: str) -> Any:
        if name in self.LOOKS:
            return getattr(self._tool, name)
        return (lambda _: False) if name == "terminate" else (lambda *_, **__: Done(84))


class Done(int):
    """What a deed gives back, be it a number, a truth or a `with` block."""

    def __enter__(self) -> int:
        return int(self)

    def __exit__(self, *exc: object) -> None:
        return None
