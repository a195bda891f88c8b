"""The gates by which the lab holds a statement inside the server must not look like a variant that waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.records.plan import Begin, End, FaultSpec, Heal, Inject, Plan, Read
from lab.records.variant import Variant
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

ONE = Variant(name="one-at-a-time", engine="zoo.locks_each_statement", path=(str(Path(__file__).parents[1]),))


@pytest.fixture
def serial(rig: Rig) -> Iterator[Zygote]:
    """One statement at a time in the whole process."""
    with closing(Zygote(ONE, rig.folder, rig.environ())) as zygote:
        yield zygote


def test_who_waits_for_one_that_the_lab_holds_is_let_on(rig: Rig, serial: Zygote) -> None:
    steps = (Begin("t0"), Read("t0", hold=True), Begin("t1"), Read("t1"))
    record = run(Plan(variant=ONE, steps=steps), rig, serial)
    waited = [op for op in record.ops if (op.actor, op.step) == ("t1", 3)]
    assert [op.type for op in waited] == ["invoke", "ok"]
    assert waited[1].time - waited[0].time < 5e9


def test_while_the_plan_goes_on_it_is_held(rig: Rig, serial: Zygote) -> None:
    steps = (Begin("t0"), Read("t0", hold=True), Begin("t1"), Read("t1"), End("t0"), End("t1"))
    record = run(Plan(variant=ONE, steps=steps), rig, serial)
    assert [(event.actor, event.where) for event in record.events] == [("t0", "server"), ("t1", "client")]
    assert {op.type for op in record.ops} == {"invoke", "ok"}


def test_who_waits_for_a_fault_goes_on_when_it_is_healed_before_others_end(rig: Rig) -> None:
    """t1 is half a second from its session when the fault is healed: t0's request goes on until t1 has it."""
    slow = Variant(name="slow", engine="zoo.correct_slow_checkout", path=ONE.path)
    hold = Inject(FaultSpec("hold", {"moment": "ready+0"}))
    both = (hold, Begin("t0"), Begin("t1"), Read("t0"), Read("t1"), Heal())
    steps = (*both, Read("t0"), Read("t1"), End("t0"), End("t1"))
    with closing(Zygote(slow, rig.folder, rig.environ())) as zygote:
        record = run(Plan(variant=slow, steps=steps), rig, zygote)
    assert [event.actor for event in record.events if event.where == "client"] == ["t0", "t1"]
    told = [(op.actor, op.f, op.type) for op in record.ops if op.phase == "safety"]
    assert told.index(("t1", "read", "ok")) < told.index(("t0", "end", "invoke"))
