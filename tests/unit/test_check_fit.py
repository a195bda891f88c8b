from __future__ import annotations

import pytest

from lab.check.fit import fitted
from lab.records.plan import (
    Autocommit,
    Begin,
    End,
    Enter,
    Fail,
    FaultSpec,
    Fork,
    Inject,
    Leave,
    Plan,
    Read,
    Step,
    Write,
)
from lab.records.variant import Traits, Variant

ATOMIC, READ_ONLY = Traits(atomic_requests=True), Traits(read_only=True)
CUT = Inject(FaultSpec("sever-fin"))


def plan(*steps: Step, moment: str = "mid-query") -> Plan:
    return Plan(variant=Variant(name="mine"), steps=steps, moment=moment)


def steps_of(*steps: Step, traits: Traits = ATOMIC, promise: str = "recovers") -> tuple[Step, ...] | None:
    found = fitted(promise, plan(*steps), traits)
    return None if found is None else found.steps


def test_a_project_without_either_has_the_plans_as_they_are() -> None:
    steps = (Begin("t0"), Read("t0"), Autocommit("t0"), End("t0"))
    assert steps_of(*steps, traits=Traits()) == steps


def test_a_request_is_one_block_as_the_handler_makes_it() -> None:
    assert steps_of(Begin("t0"), CUT, Read("t0"), End("t0")) == (
        *(Begin("t0"), Enter("t0"), CUT, Read("t0"), Leave("t0"), End("t0")),
    )


def test_a_request_that_is_one_block_already_stays_so_that_its_commit_is_a_commit() -> None:
    steps = (Begin("t0"), Enter("t0"), Write("t0"), CUT, Leave("t0"), End("t0"))
    assert steps_of(*steps) == steps


def test_two_blocks_in_a_request_become_savepoints() -> None:
    inner = (Enter("t0"), Write("t0"), Leave("t0"), Enter("t0"), Write("t0"), Leave("t0"))
    assert steps_of(Begin("t0"), *inner, End("t0")) == (Begin("t0"), Enter("t0"), *inner, Leave("t0"), End("t0"))


def test_a_forked_child_leaves_the_block_that_it_was_forked_in() -> None:
    assert steps_of(Begin("t0"), Fork("t0"), End("c0.t0"), End("t0")) == (
        *(Begin("t0"), Enter("t0"), Fork("t0"), Leave("c0.t0"), End("c0.t0"), Leave("t0"), End("t0")),
    )


@pytest.mark.parametrize("step", [Autocommit("t0"), Enter("t0")])
def test_what_django_refuses_or_the_handler_would_leave_first_is_left_out(step: Step) -> None:
    assert steps_of(Begin("t0"), step, End("t0")) is None


def test_a_read_only_alias_reads_where_others_write() -> None:
    steps = (Begin("t0"), Write("t0", hold="statement", swallow=True), End("t0"))
    assert steps_of(*steps, traits=READ_ONLY) == (Begin("t0"), Read("t0", hold=True, swallow=True), End("t0"))


def test_where_the_write_is_the_point_a_read_only_alias_has_no_plan() -> None:
    assert steps_of(Begin("t0"), Write("t0"), End("t0"), traits=READ_ONLY, promise="durable") is None
    assert steps_of(Begin("t0"), Write("t0", hold="commit"), End("t0"), traits=READ_ONLY) is None
    assert steps_of(Begin("t0"), Fail("t0"), End("t0"), traits=READ_ONLY) is None


@pytest.mark.parametrize("rest", [(Read("t0"),), (Enter("t0"), Write("t0"), Leave("t0"), Read("t0"))])
def test_a_request_that_does_not_end_is_wrapped_too(rest: tuple[Step, ...]) -> None:
    assert steps_of(Begin("t0"), *rest) == (Begin("t0"), Enter("t0"), *rest)


def test_a_block_in_which_a_plan_ends_stays_the_views_own() -> None:
    steps = (Begin("t0"), Enter("t0"), Write("t0"))
    assert steps_of(*steps) == steps
