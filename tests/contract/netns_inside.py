"""What only a lab in a namespace can do, seen on the wire. `test_netns_rig.py` runs this file inside one.

It is no test_*.py, so that a suite outside does not collect what it could only skip.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fix_fault import OpenLine
from lab.advice.tried import Bench, Evidence
from lab.check.subjects import subjects
from lab.explore.timeouts.run import run_timeouts
from lab.explore.timeouts.table import SITUATIONS, Row
from lab.fault import FAULTS
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.variant import Traits, Variant
from lab.records.verdict import Verdict
from lab.records.words import Sides
from lab.rig.embedded.rig import Rig
from lab.rig.machine import route
from lab.rig.netns import namespace
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(not namespace.entered(), reason="not in a namespace: test_netns_rig.py runs it inside one"),
]
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
ALL_PROTOCOLS = 0x0003
PACKET_HOST = 0
TESTS = Path(__file__).resolve().parents[1]
LOSING: dict[str, Sides] = {"blackout": "both", "drop-to-server": "server", "drop-to-client": "client"}


class Capture:
    """Every packet on the loopback."""

    def __init__(self, packets: socket.socket) -> None:
        self._packets = packets

    def taken(self) -> list[tuple[int, int, int, int]]:
        """What has passed so far: protocol, ports, TCP flags."""
        found = []
        while select.select([self._packets], [], [], 0)[0]:
            data, address = self._packets.recvfrom(65536)
            if address[2] != PACKET_HOST or len(data) < 20:
                continue  # each packet is seen going out and coming in
            head = (data[0] & 15) * 4
            ports = struct.unpack_from("!HH", data, head)
            found.append((data[9], *ports, data[head + 13] if data[9] == socket.IPPROTO_TCP else 0))
        return found


@contextmanager
def capture() -> Iterator[Capture]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS)) as packets:
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        yield Capture(packets)


def test_namespace_is_private() -> None:
    assert namespace.others_up() == ()
    route.require_loopback("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward, pytest.raises(OSError, match="unreachable"):
        outward.connect(("192.0.2.1", 9))


def test_what_the_lab_starts_has_no_capabilities(open_line: OpenLine) -> None:
    if os.geteuid() == 0:
        pytest.skip("root's processes keep what root has")
    line = open_line()
    for pid in (line.site.subject.pid, line.rig.toxiproxy.pid, line.rig.postgres.pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            assert "CapEff:\t0000000000000000" in status.read()


@pytest.mark.parametrize("kind", LOSING)
def test_loss_is_silence_on_the_wire(kind: str, open_line: OpenLine) -> None:
    fault = FAULTS.get(kind)()
    line = open_line(fault)
    line.client.connect()
    with capture() as wire:
        with fault.strike(line.site) as seen:
            assert line.sight(seen) is not None
            wire.taken()
            line.client.send("read")
            assert line.client.quiet(0.7)
            passed = wire.taken()
        tcp = [each for each in passed if each[0] == socket.IPPROTO_TCP and line.port in each[1:3]]
        assert not [each for each in passed if each[0] == socket.IPPROTO_ICMP]
        assert not [each for each in tcp if each[3] & (FIN | RST)]
        asked, answered = (sum(each[1 + end] == line.port for each in tcp) for end in (1, 0))
        # The question is sent again and again, or the answer is, or both.
        assert (asked if kind != "drop-to-client" else answered) >= 2
        answer = line.client.answer()  # after the heal, late
    assert answer["ending"] == "ok"
    line.as_before()


def test_dropped_answer_was_executed(open_line: OpenLine) -> None:
    fault = FAULTS.get("drop-to-client")()
    line = open_line(fault)
    line.client.ok("begin")
    line.client.ok("read")
    with fault.strike(line.site):
        line.client.send("write", plan="lost", token="lost", by="")
        until = time.monotonic() + 3.0
        count = "SELECT count(*) FROM lab.token WHERE token = 'lost'"
        while line.rig.control().execute(count).fetchone() == (0,) and time.monotonic() < until:
            time.sleep(0.005)
        assert line.client.quiet(0.1)
        assert line.rig.control().execute(count).fetchone() == (1,)
    assert line.client.answer()["ending"] == "ok"
    line.rig.control().execute("DELETE FROM lab.token WHERE token = 'lost'")


def test_dropped_connection_leaves_its_neighbour_alone(open_line: OpenLine) -> None:
    fault = FAULTS.get("drop-connection")()
    line = open_line(fault)
    line.client.connect()
    with line.session() as neighbour:
        neighbour.execute("SELECT 1")
        assert len(line.site.net.connections()) == 2
        with fault.strike(line.site) as seen:
            sighting = line.sight(seen)
            assert sighting is not None
            assert len(sighting.struck) == 1
            assert neighbour.execute("SELECT 2").fetchone() == (2,)
            line.client.send("read")
            assert line.client.quiet(0.3)
        assert line.client.answer()["ending"] == "ok"


def test_loss_concerns_one_plan_alone(open_line: OpenLine) -> None:
    fault = FAULTS.get("blackout")()
    first, second = open_line(fault, shared=True), open_line(fault, shared=True)
    first.client.connect()
    second.client.connect()
    with fault.strike(first.site) as seen:
        assert first.sight(seen) is not None
        second.client.ok("read")


def test_server_notices_a_half_open_session_by_its_own_keepalives(open_line: OpenLine) -> None:
    fault = FAULTS.get("blackout")(leg="both")
    line = open_line(fault)
    for name, value in (("idle", 1), ("interval", 1), ("count", 1)):
        line.rig.control().execute(f"ALTER ROLE {line.where['USER']} SET tcp_keepalives_{name} = {value}")
    try:
        line.client.connect()
        assert len(line.site.sessions()) == 1
        time.sleep(0.2)  # keepalives do not run while the kernel still delays the last acknowledgement
        with fault.strike(line.site) as seen:
            assert line.sight(seen) is not None
            until = time.monotonic() + 6.0
            while line.site.sessions() and time.monotonic() < until:
                time.sleep(0.05)
            assert not line.site.sessions()
    finally:
        line.rig.control().execute(f"ALTER ROLE {line.where['USER']} RESET ALL")


def test_lab_sees_the_server_while_the_link_is_down(open_line: OpenLine) -> None:
    line = open_line()
    line.client.connect()
    with FAULTS.get("link-down")().strike(line.site) as seen:
        assert line.sight(seen) is not None
        assert len(line.site.sessions()) == 1
    assert line.client.ok("read")


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "promise", "moment", "expected"),
    [
        ("hides_commit_error", "honest-error", "at COMMIT, loss", Verdict.BROKEN),
        ("correct_keeper", "honest-error", "at COMMIT, loss", Verdict.KEPT),
        ("stops_server_timers", "bounded-sessions", "half open, client sends", Verdict.BROKEN),
        ("correct_keeper", "bounded-sessions", "half open, client sends", Verdict.KEPT),
    ],
)
def test_promise_under_loss_catches_who_breaks_it_and_nobody_else(
    rig: Rig, name: str, promise: str, moment: str, expected: Verdict
) -> None:
    settings = {"CONN_MAX_AGE": None}
    variant = Variant(name=name, engine=f"zoo.{name}", path=(str(TESTS),), settings=settings, keeps=True)
    asked = PROMISES.get(promise)
    plans = [plan for plan in asked.plans(variant, Traits(conn_max_age=None)) if plan.moment == moment]
    with (
        closing(Zygote(plans[0].variant, rig.folder, rig.environ())) as zygote,
        ThreadPoolExecutor(len(plans)) as side_by_side,
    ):
        for record in side_by_side.map(lambda plan: run(plan, rig, zygote), plans):
            (found,) = judge(record, [asked])
            assert found.verdict is expected, f"{record.plan.title}: {found.summary}"


@pytest.mark.nightly
def test_a_wait_in_a_loss_is_ended_by_keepalives_and_a_deadline(rig: Rig) -> None:
    """`lab advise` finds it: the moment is one of its own, beside that of a question which is sent into a loss."""
    variant = Variant(name="kept", settings={"CONN_MAX_AGE": None})
    plans = PROMISES.get("bounded-wait").plans(variant, Traits(conn_max_age=None, kept=1))
    shown = [Evidence("bounded-wait", plan.moment, plan, "") for plan in plans if plan.moment == "waiting, loss"]
    assert shown
    with subjects(rig) as started:
        bench = Bench(variant, shown, rig, started, lambda _: None)
        both, deadline = (bench.tried(names) for names in (["keepalives", "tcp-user-timeout"], ["tcp-user-timeout"]))
        assert both is not None
        assert deadline is not None
        bench.show([(each, 0) for each in (bench.as_it_is, both, deadline)])
    assert (bench.as_it_is.verdict(0), both.verdict(0)) == (Verdict.BROKEN, Verdict.KEPT)
    assert deadline.verdict(0) is Verdict.BROKEN  # it counts from what was sent and is not acknowledged


@pytest.mark.nightly
def test_timeout_table_is_measured_and_names_the_holes(rig: Rig) -> None:
    short = Row("short", {"connect_timeout": 2, "tcp_user_timeout": 1000})
    table = run_timeouts(Variant(name="stock"), rig, 5.0, [short])
    assert not table.notes
    for loss in ("blackout", "drop-to-server", "drop-to-client"):
        connects, sends, waits, idle = (table.cell("short", loss, situation) for situation in SITUATIONS)
        assert connects is not None
        assert connects.seconds is not None
        assert sends is not None
        assert sends.by == "tcp_user_timeout"
        assert waits is not None
        assert waits.seconds is None
        assert idle is not None
        assert idle.seconds is None
    assert {(hole.loss, hole.situation) for hole in table.holes} >= {("blackout", "waits"), ("black-hole", "sends")}
    assert not [hole for hole in table.holes if hole.situation == "connects"]


@pytest.mark.parametrize("kind", [*LOSING, "drop-connection", "link-down"])
def test_loss_is_applied_and_healed_quickly(kind: str, open_line: OpenLine) -> None:
    fault = FAULTS.get(kind)()
    line = open_line(fault)
    line.client.connect()
    begun, used = time.monotonic(), time.process_time()
    for _ in range(10):
        with FAULTS.get(kind)().strike(line.site):
            pass
    taken = (time.monotonic() - begun) / 10
    print(f"{kind}: applied and healed in {taken * 1000:.1f} ms")  # noqa: T201 - read with pytest -s
    assert (time.process_time() - used) / 10 < 0.030  # the processor's: the clock's is other people's, too
