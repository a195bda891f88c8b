"""A child that a worker thread forked ends as one that the main thread forked, whatever threads its variant starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from lab.check.variants import rows
from lab.records.plan import Begin, End, Exit, Fork, Plan, Read
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

WATCHED = rows()["persistent_threadlocal"]
"""It starts a thread in each process that has a session: its watchdog."""


@pytest.fixture(scope="module")
def zygote(rig: Rig) -> Iterator[Zygote]:
    with closing(Zygote(WATCHED, rig.folder, rig.environ())) as zygote:
        yield zygote


@pytest.mark.parametrize("by", ["t0", "t1"])
def test_normal_exit_ends_a_child_that_has_a_thread(rig: Rig, zygote: Zygote, by: str) -> None:
    child = "c0.t0"
    work = (Begin(child), Read(child), End(child))
    steps = (Begin(by), Read(by), End(by), Fork(by), *work, Exit(child, "normal"), Begin(by), Read(by), End(by))
    record = run(Plan(variant=WATCHED, steps=steps), rig, zygote)
    assert not record.void
    assert [op.type for op in record.ops if op.f == "exit"] == ["invoke", "ok"]
    assert {op.type for op in record.ops} == {"invoke", "ok"}
