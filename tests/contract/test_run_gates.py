"""The gates by which the lab holds a statement inside the server must not look like a variant that waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.records.plan import Begin, End, Plan, Read
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
