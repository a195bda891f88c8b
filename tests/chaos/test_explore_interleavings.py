"""All orders of two requests against the published backends, and what the reducer makes of a plan that is too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from chaos.accept import expectations
from lab.check.replay import replay
from lab.check.variants import find, rows
from lab.explore.engine import Explored, Target, explore
from lab.explore.interleavings import USUAL, Interleaving, Interleavings, InterleavingTable, Scene
from lab.explore.shrink import runner, shrink
from lab.promise import PROMISES
from lab.records.codec import decode_plan
from lab.records.plan import (
    Begin,
    End,
    Enter,
    Fail,
    FaultSpec,
    Heal,
    Inject,
    Leave,
    Look,
    Plan,
    Read,
    Sql,
    Step,
    Write,
)
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

ISOLATED = "isolated-threads"
KNOWN = expectations()
Found = Explored[Interleaving, InterleavingTable]


@contextmanager
def targeted(name: str, rig: Rig) -> Iterator[Target]:
    variant = find(name)
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        yield Target(variant, rig, zygote)


def explored(target: Target, root: Path, *, preemptions: int | None = None, scene: Scene | None = None) -> Found:
    return explore(Interleavings(scene or Scene(USUAL[2]), preemptions), target, Store(root))


def cases_that_break(found: Found, promise: str) -> int:
    return sum(each.count for each in found.table.classes if promise in each.promises)


def test_one_connection_for_all_threads_breaks_most_orders(rig: Rig, tmp_path: Path) -> None:
    with targeted("published_global", rig) as target:
        found = explored(target, tmp_path)
        assert (found.table.orders, found.table.void) == (70, 0)
        assert cases_that_break(found, ISOLATED) > 50
        worst = next(each for each in found.table.classes if ISOLATED in each.promises)
        example = decode_plan((tmp_path / worst.evidence).read_bytes())
        again = replay(example, rig, target.zygote, times=2)
        assert example.expect[ISOLATED] == Verdict.BROKEN
        assert again.expected == 2


def test_a_connection_for_each_thread_breaks_none(rig: Rig, tmp_path: Path) -> None:
    with targeted("published_threadlocal", rig) as target:
        found = explored(target, tmp_path)
    assert (found.table.orders, found.table.void) == (70, 0)
    assert cases_that_break(found, ISOLATED) == 0


def test_twice_the_same_exploration_gives_the_same_table(rig: Rig, tmp_path: Path) -> None:
    with targeted("published_global", rig) as target:
        once, again = (explored(target, tmp_path / name, preemptions=1).table for name in ("once", "again"))
    assert once.encode() == again.encode()
    assert once.orders == 8


def test_a_stop_is_taken_up_where_it_was(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, of: int) -> None:
        if done == 3:
            raise Stopped

    with targeted("published_threadlocal", rig) as target, pytest.raises(Stopped):
        explore(Interleavings(Scene(USUAL[2]), 1), target, Store(tmp_path), progress=stop)
    with targeted("published_threadlocal", rig) as target:
        found = explored(target, tmp_path, preemptions=1)
    assert found.resumed >= 3
    assert found.cases == 8 - found.resumed
    assert found.table.orders == 8


def test_a_fault_comes_at_every_position(rig: Rig, tmp_path: Path) -> None:
    scene = Scene(("rollback", "read"), FaultSpec("terminate"))
    with targeted("django_per_request", rig) as target:
        found = explored(target, tmp_path, preemptions=0, scene=scene)
    assert (found.table.orders, found.table.cases, found.table.void) == (2, 12, 0)
    assert cases_that_break(found, ISOLATED) == 0


def request(actor: str, *steps: Step) -> tuple[Step, ...]:
    return (Begin(actor), *steps, End(actor))


BLOATED = (
    *request("t0", Read("t0"), Write("t0", swallow=True)),
    *request("t2", Enter("t2"), Write("t2"), Enter("t2"), Write("t2"), Leave("t2"), Leave("t2", "rollback")),
    *(Begin("t0"), Read("t0"), Begin("t1"), Begin("t2"), Look("t2"), Read("t1"), Enter("t0"), Write("t0")),
    *(Enter("t1", savepoint=False), Fail("t2", swallow=True), Write("t1"), Write("t0")),
    *(Inject(FaultSpec("latency")), Heal(), Read("t1"), Leave("t0", "rollback"), Write("t1"), End("t2")),
    *(Leave("t1"), End("t0"), Sql("t1", "SELECT 1"), End("t1")),
    *request("t2", Write("t2")),
)


def test_bloated_plan_shrinks_to_two_requests_with_a_query_each(rig: Rig) -> None:
    variant = find("published_global")
    plan = Plan(variant=variant, steps=BLOATED, promise=ISOLATED)
    with targeted("published_global", rig) as target:
        found = shrink(plan, runner(rig, target.zygote))
        assert not found.spent
        assert (found.agreed, found.of) == (2, 2)
        assert found.plan.steps == (Begin("t0"), Read("t0"), Begin("t1"), Read("t1"))
        assert replay(found.plan, rig, target.zygote, times=2).expected == 2


@pytest.mark.nightly
@pytest.mark.parametrize("name", rows())
def test_all_orders_break_what_is_known_and_nothing_else(rig: Rig, tmp_path: Path, name: str) -> None:
    with targeted(name, rig) as target:
        found = explored(target, tmp_path)
    assert (found.table.orders, found.table.void) == (70, 0)
    broken = {promise for each in found.table.classes for promise in each.promises}
    assert broken <= {promise for promise in PROMISES if f"{name}.{promise}" in KNOWN}
