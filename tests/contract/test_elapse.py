"""Time that passes by the subject's clocks alone: seen by what Django does with CONN_MAX_AGE."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.records.plan import Begin, Elapse, End, Exit, Fork, Plan, Read, Step
from lab.records.variant import Variant
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

AGE = 3600
KEEPS = Variant(name="an-hour", engine="django.db.backends.postgresql", settings={"CONN_MAX_AGE": AGE})

CLOCKED = """
import time
from django.db.backends.postgresql import base

class DatabaseWrapper(base.DatabaseWrapper):
    clock, clock_ns = time.monotonic, time.monotonic_ns

    def get_new_connection(self, conn_params):
        assert self.clock() + 1 >= self.clock_ns() // 10**9 >= self.clock() - 1
        return super().get_new_connection(conn_params)
"""


@pytest.fixture
def zygote(rig: Rig) -> Iterator[Zygote]:
    with closing(Zygote(KEEPS, rig.folder, rig.environ())) as zygote:
        yield zygote


def sessions(rig: Rig, zygote: Zygote, *steps: Step) -> list[str]:
    """Those that the plan's reads had, in the order in which they were first seen."""
    record = run(Plan(variant=KEEPS, steps=steps), rig, zygote, liveness=False)
    read = [op for op in record.ops if op.f == "read" and op.type != "invoke"]
    assert [op.type for op in read] == ["ok"] * len(read), read
    assert [event.f for event in record.events] == ["elapse"] * sum(isinstance(step, Elapse) for step in steps)
    return list(dict.fromkeys(str(op.value["session"]) for op in read))


def asks(actor: str) -> tuple[Step, ...]:
    return Begin(actor), Read(actor), End(actor)


def test_an_age_ends_by_the_subjects_clock_and_nobody_waits(rig: Rig, zygote: Zygote) -> None:
    began = time.monotonic()
    assert len(sessions(rig, zygote, *asks("t0"), Elapse(AGE - 60), *asks("t0"))) == 1
    assert len(sessions(rig, zygote, *asks("t0"), Elapse(AGE - 60), Elapse(120), *asks("t0"))) == 2
    assert time.monotonic() - began < 60


def test_within_a_request_no_end_is_told(rig: Rig, zygote: Zygote) -> None:
    assert len(sessions(rig, zygote, Begin("t0"), Read("t0"), Elapse(2 * AGE), Read("t0"), End("t0"))) == 1


def test_it_passes_in_forked_processes_and_is_not_forgotten_by_later_ones(rig: Rig, zygote: Zygote) -> None:
    serves = (Begin("t0"), End("t0"))
    before = (*serves, Fork("t0"), *asks("c0.t0"), Elapse(2 * AGE), *asks("c0.t0"), Exit("c0.t0"))
    assert len(sessions(rig, zygote, *before)) == 2
    after = (*serves, Elapse(AGE - 60), Fork("t0"), *asks("c0.t0"), Elapse(120), *asks("c0.t0"), Exit("c0.t0"))
    assert len(sessions(rig, zygote, *after)) == 1


def test_the_next_plan_begins_at_the_true_time(rig: Rig, zygote: Zygote) -> None:
    assert len(sessions(rig, zygote, *asks("t0"), Elapse(2 * AGE), *asks("t0"))) == 2
    assert len(sessions(rig, zygote, *asks("t0"), Elapse(AGE - 60), *asks("t0"))) == 1


def test_an_attribute_of_a_class_is_a_clock_as_well(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "clocked").mkdir()
    (tmp_path / "clocked/base.py").write_text(CLOCKED)
    variant = Variant(name="clocked", engine="clocked", path=(str(tmp_path),))
    plan = Plan(variant=variant, steps=(*asks("t0"), Elapse(1.7 * AGE), *asks("t0")))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        record = run(plan, rig, zygote, liveness=False)
    assert [op.chain for op in record.ops if op.f == "read" and op.type != "invoke"] == [(), ()]
