"""Faults in whole plans, against stock Django: what was seen to land, what the requests saw, what makes a case void."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from fix_fault import OpenLine
from lab.errors import BadInput
from lab.fault import FAULTS, Fault, Seen, Sighting, Site
from lab.records.plan import (
    ActorStep,
    Await,
    Begin,
    End,
    Enter,
    Exit,
    FaultSpec,
    Fork,
    Heal,
    Inject,
    Leave,
    Plan,
    Read,
    Step,
    Write,
)
from lab.records.record import Record
from lab.rig import rigs
from lab.rig.capabilities import CAPABILITIES
from lab.rig.embedded.rig import Rig
from lab.run import Run, run
from lab.subject.handle import Zygote

KINDS = [kind for kind in FAULTS if FAULTS.get(kind).needs <= CAPABILITIES[rigs.chosen()]]
SLOW = ("bandwidth", "latency", "slicer")
LOST = {"fail", "info"}
SEEN_BY_A_QUERY = {
    "bandwidth": {"ok"},
    "freeze": {"ok"},
    "latency": {"ok"},
    "slicer": {"ok"},
    "split": {"ok"},
    "stall": {"ok"},
    "black-hole": LOST,
    "crash": LOST,
    "idle-in-transaction-timeout": LOST,
    "interrupt": LOST,
    "kill": {"info"},
    "limit-data": LOST,
    "refuse": LOST,
    "restart": LOST,
    "sever-fin": LOST,
    "sever-rst": LOST,
    "terminate": LOST,
}
"""How the query ends that meets the fault; a silence is healed while it waits."""


def inject(kind: str, **params: object) -> Inject:
    return Inject(FaultSpec(kind=kind, params=params))


def steps(kind: str) -> tuple[list[Step], int]:
    """A request that meets the fault, and the index of the step that must feel it."""
    begin, end = Begin("t0"), End("t0")
    if kind in ("fill-slots", "split"):  # for whoever connects
        return [begin, inject(kind), Read("t0"), Heal(), end], 2
    if kind == "idle-in-transaction-timeout":
        return [begin, Enter("t0"), inject(kind), Write("t0"), Await(), Read("t0"), Heal(), end], 5
    if kind == "interrupt":
        return [begin, Read("t0", hold=True), inject(kind), end, Heal()], 1
    if kind == "kill":
        worker: list[Step] = [Fork("t0"), Begin("c0.t0"), Read("c0.t0", hold=True)]
        return [*worker, inject(kind, process="c0"), begin, Read("t0"), end, Heal()], 2
    if kind in SLOW:  # healing it would cut off a query that waits, so it is let return
        return [begin, Read("t0"), inject(kind), Read("t0"), end, Heal()], 3
    return [begin, Read("t0"), inject(kind), Read("t0"), Heal(), end], 3


def judge(zygote: Zygote, rig: Rig, *todo: Step, bound: float = 5.0) -> Record:
    return run(Plan(variant=zygote.variant, steps=tuple(todo), bound=bound), rig, zygote)


def ending(record: Record, step: int) -> str:
    return next(op.type for op in record.ops if op.step == step and op.type != "invoke")


@pytest.mark.parametrize("kind", KINDS)
def test_plan_sees_the_fault_land_and_its_requests_feel_it(kind: str, rig: Rig, stock: Zygote) -> None:
    todo, felt = steps(kind)
    record = judge(stock, rig, *todo)
    assert record.void == ""
    assert [landing.kind for landing in record.landed] == [kind]
    assert record.landed[0].healed >= 0
    assert ending(record, felt) in SEEN_BY_A_QUERY.get(kind, LOST | {"ok"})
    assert record.fate == "ended"
    alive = [op for op in record.ops if op.phase == "liveness" and op.type not in ("invoke", "ok")]
    assert not alive, "stock Django must be well again"


@pytest.mark.parametrize(
    ("faults", "line"),
    [
        pytest.param([], "direct", id="no fault"),
        pytest.param([inject("terminate")], "direct", id="the sessions are struck"),
        pytest.param([inject("terminate"), inject("read-only")], "direct", id="two that spare it"),
        pytest.param([inject("terminate"), inject("sever-fin")], "proxy", id="one that does not"),
        pytest.param([inject("lock-out")], "proxy", id="connections are counted"),
        pytest.param([Fork("t0"), Exit("c0.t0")], "proxy", id="connections are counted where a process forks"),
        pytest.param([inject("crash")], "proxy", id="nothing listens for a while"),
        pytest.param([Inject(FaultSpec(kind="terminate"), alias="other")], "proxy", id="lines are told apart"),
        pytest.param([inject("cut-fin", moment="query-sent")], "tap", id="the tap acts"),
    ],
)
def test_plan_has_a_proxy_where_something_strikes_its_line(
    faults: list[Step], line: str, rig: Rig, keeper: Zygote
) -> None:
    """The record says by what the subject got to the server, and its sessions are where that says."""
    request = (Begin("t0"), Read("t0"), Read("t0", alias="other"), End("t0"))
    record = judge(keeper, rig, *request, *faults, *request)
    assert record.line == (line if rig.direct is not None or line != "direct" else "proxy")
    assert ending(record, 1) == "ok"
    assert [census.connects >= 0 for census in record.census] == [record.line != "direct"] * len(record.census)


def test_plan_that_asks_for_a_journal_has_the_tap(rig: Rig, keeper: Zygote) -> None:
    plan = Plan(variant=keeper.variant, steps=(Begin("t0"), Read("t0"), End("t0")))
    record = run(plan, rig, keeper, wire=True)
    assert record.line == "tap"
    assert record.journal


def test_plan_whose_connections_are_counted_has_a_proxy(rig: Rig, keeper: Zygote) -> None:
    plan = Plan(variant=keeper.variant, steps=(Begin("t0"), Read("t0"), End("t0")))
    record = run(plan, rig, keeper, counted=True)
    assert record.line == "proxy"
    assert max(census.connects for census in record.census) == 1


def test_proxy_of_the_caller_is_left_alone_where_none_is_needed(rig: Rig, keeper: Zygote) -> None:
    plan = Plan(variant=keeper.variant, steps=(Begin("t0"), Read("t0"), End("t0")))
    with rig.proxy("callers") as proxy:
        record = run(plan, rig, keeper, proxy=proxy)
        used = proxy.accepted()
    assert record.line == ("proxy" if rig.direct is None else "direct")
    assert (used > 0) == (record.line == "proxy")


def test_fault_that_strikes_a_line_which_it_says_it_spares_ends_the_run(
    rig: Rig, keeper: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rig.direct is None:
        pytest.skip("every line of this rig has a proxy")
    monkeypatch.setattr(FAULTS.get("sever-fin"), "beside", True)
    with pytest.raises(BadInput, match="no proxy that a fault could strike"):
        judge(keeper, rig, Begin("t0"), Read("t0"), inject("sever-fin"), End("t0"))


def test_plans_without_a_proxy_know_their_connections_from_each_others(rig: Rig, open_line: OpenLine) -> None:
    """One port for all of them: each sees those that its own subject has, and strikes its own sessions."""
    terminate = FAULTS.get("terminate")()
    first, second = open_line(terminate, shared=True), open_line(terminate, shared=True)
    assert (first.port == second.port) is (rig.direct is not None)
    first.client.connect()
    second.client.connect()
    ports = [{each.port for each in line.site.sockets()} for line in (first, second)]
    assert [len(each) for each in ports] == [1, 1]
    assert not ports[0] & ports[1]
    with terminate.strike(first.site) as seen:
        assert (sighting := first.sight(seen)) is not None
    assert sighting.evidence == "1 sessions terminated"
    second.client.ok("read")
    assert {each.port: each.state for each in second.site.sockets()} == dict.fromkeys(ports[1], "ESTABLISHED")


@pytest.mark.parametrize("kind", ["sever-fin", "sever-rst", "terminate", "freeze", "interrupt", "limit-data"])
def test_plan_whose_fault_strikes_nobody_is_void(kind: str, rig: Rig, stock: Zygote) -> None:
    params = {"limit_bytes": 1_000_000} if kind == "limit-data" else {}
    request = (Begin("t0"), Read("t0"), End("t0"))
    record = judge(stock, rig, *request, inject(kind, **params), *request)
    assert record.void == f"not seen to land: {kind}"
    assert record.landed == ()


@pytest.mark.parametrize("mode", ["immediate", "crash"])
def test_plan_is_held_and_frozen_while_the_server_ends(mode: str, rig: Rig, stock: Zygote) -> None:
    kind, params = ("crash", {}) if mode == "crash" else ("restart", {"mode": mode})
    todo: list[Step] = [Begin("t0"), Read("t0", hold=True), inject("freeze"), inject(kind, **params), Heal(), End("t0")]
    record = judge(stock, rig, *todo)
    assert {landing.kind for landing in record.landed} >= {"freeze"}
    assert ending(record, 1) in LOST
    assert rig.control().execute("SELECT 1").fetchone() == (1,)


class Sabotage(Fault, frozen=True):
    """What no fault of ours does: somebody else stops or kills a server."""

    kind: ClassVar[str] = "sabotage"
    exclusive: ClassVar[bool] = True
    deed: ClassVar[tuple[int, int]]

    @contextmanager
    def strike(self, site: Site) -> Iterator[Seen]:
        """Do it."""
        os.kill(*self.deed)
        yield lambda: Sighting("done")


DEEDS: dict[str, Callable[[Rig], tuple[int, signal.Signals]]] = {
    "proxy killed": lambda rig: (rig.toxiproxy.pid, signal.SIGKILL),
    "proxy stopped": lambda rig: (rig.toxiproxy.pid, signal.SIGSTOP),
    "server killed": lambda rig: (rig.postgres.pid, signal.SIGKILL),
}


@pytest.mark.parametrize(
    ("what", "then"),
    [
        *((what, then) for what in ("proxy killed", "server killed") for then in (None, "latency", "stall")),
        *(("server killed", then) for then in ("freeze", "idle-in-transaction-timeout")),
        *(("proxy stopped", then) for then in (None, "latency")),
    ],
)
def test_server_that_is_lost_in_a_plan_voids_it_and_is_replaced(
    what: str, then: str | None, rig: Rig, stock: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS.get("crash")  # now all others are registered
    monkeypatch.setitem(FAULTS._items, "sabotage", Sabotage)
    monkeypatch.setattr(Sabotage, "deed", DEEDS[what](rig), raising=False)
    more: list[Step] = [inject(then)] if then else []
    record = judge(
        stock, rig, Begin("t0"), Enter("t0"), Write("t0"), *more, inject("sabotage"), Read("t0"), End("t0"), bound=0.5
    )
    assert record.void
    assert "not seen" not in record.void
    next_one = judge(stock, rig, Begin("t0"), Enter("t0"), Write("t0"), Leave("t0"), End("t0"))
    assert next_one.void == ""
    assert all(op.type in ("invoke", "ok") for op in next_one.ops)
    timeout = rig.control().execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert timeout == ("0",)


def test_exclusive_fault_never_overlaps_another_plan(rig: Rig, stock: Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    spans: list[tuple[float, float, bool]] = []
    record = Run.record

    def timed(self: Run) -> Record:
        begun = time.monotonic()
        found = record(self)
        spans.append((begun, time.monotonic(), any(fault.exclusive for fault in self._nemesis.faults)))
        return found

    monkeypatch.setattr(Run, "record", timed)
    found: list[Record] = []

    def work(kind: str, times: int) -> None:
        found.extend(judge(stock, rig, *steps(kind)[0]) for _ in range(times))

    shared = [threading.Thread(target=work, args=("sever-fin", 4)) for _ in range(3)]
    alone = [threading.Thread(target=work, args=(kind, 2)) for kind in ("stall", "crash")]
    for thread in (*shared, *alone):
        thread.start()
    for thread in (*shared, *alone):
        thread.join()
    assert [each.void for each in found] == [""] * 16
    for begun, ended, _ in (span for span in spans if span[2]):
        others = [span for span in spans if span[:2] != (begun, ended)]
        assert not [span for span in others if span[0] < ended and begun < span[1]]


def test_steps_that_follow_are_those_of_the_plan() -> None:
    """A fault that is not in the table is run as well, only its query's ending is not checked."""
    assert set(SEEN_BY_A_QUERY) | {"fill-slots"} <= set(FAULTS)
    assert all(isinstance(steps(kind)[0][steps(kind)[1]], ActorStep) for kind in FAULTS)
