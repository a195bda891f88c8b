from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from lab.errors import BadInput
from lab.explore.reductions import PASSES
from lab.explore.shrink import Shrunk, shrink
from lab.explore.simplicity import costs_the_bound, preemptions, size
from lab.fault import FAULTS
from lab.records.codec import decode_plan, encode
from lab.records.plan import (
    Begin,
    End,
    Enter,
    FaultSpec,
    Fork,
    Heal,
    Inject,
    Leave,
    NemesisStep,
    Plan,
    Read,
    Sql,
    Step,
    Write,
)
from lab.records.variant import Variant

PROMISE = "durable"
FIN = Inject(FaultSpec("sever-fin"))
HOLE = Inject(FaultSpec("black-hole"))


def plan(*steps: Step, **fields: object) -> Plan:
    return Plan(variant=Variant(name="any"), steps=steps, promise=PROMISE, **fields)  # type: ignore[arg-type]


def request(actor: str, *steps: Step) -> tuple[Step, ...]:
    return (Begin(actor), *steps, End(actor))


def writes(plan: Plan) -> int:
    return sum(isinstance(step, Write) for step in plan.steps)


def breaks_if(condition: Callable[[Plan], object], promise: str = PROMISE) -> Callable[[Plan], tuple[str, ...]]:
    """A runner whose every run breaks the promise when the plan is like that."""
    return lambda plan: (promise,) if condition(plan) else ()


def shrunk(start: Plan, condition: Callable[[Plan], object]) -> tuple[Step, ...]:
    return shrink(start, breaks_if(condition)).plan.steps


BLOATED = plan(
    *request("t0", Read("t0"), Write("t0", hold="statement"), Read("t0")),
    *request("t1", Enter("t1"), Write("t1"), Leave("t1", "rollback")),
    FIN,
    *request("t0", Sql("t0", "SELECT 1"), Write("t0")),
    Heal(),
    *request("t2", Read("t2"), Write("t2", swallow=True)),
)


# -- what it takes away -----------------------------------------------------------------------------------------------


def test_everything_goes_that_is_not_needed() -> None:
    assert shrunk(BLOATED, lambda plan: writes(plan) >= 1) == (Write("t0"),)


def test_actors_that_are_not_needed_go() -> None:
    steps = shrunk(BLOATED, lambda plan: "t1" in plan.actors() and "t2" in plan.actors())
    assert {step.actor for step in steps if not isinstance(step, NemesisStep)} == {"t1", "t2"}
    assert len(steps) == 2


def test_one_fault_stays_where_one_is_needed() -> None:
    assert shrunk(BLOATED, lambda plan: plan.faults() and plan.actors())[:1] == (FIN,)


def test_block_goes_as_a_whole() -> None:
    def balanced(plan: Plan) -> bool:
        enters = [type(step) for step in plan.steps if isinstance(step, Enter | Leave)]
        return writes(plan) > 0 and enters.count(Enter) == enters.count(Leave)

    assert shrunk(plan(Enter("t0"), Write("t0"), Leave("t0")), balanced) == (Write("t0"),)


def test_child_goes_with_the_fork() -> None:
    steps = (*request("t0", Fork("t0", "c1"), Write("t0")), Begin("c1.t0"), Read("c1.t0"))
    assert shrunk(plan(*steps), writes) == (Write("t0"),)


def test_init_statements_go() -> None:
    found = shrink(
        plan(Write("t0"), init=("SET a.b = 1", "SET a.c = 1")), breaks_if(lambda each: "SET a.c = 1" in each.init)
    )
    assert found.plan.init == ("SET a.c = 1",)


def test_two_actors_become_one() -> None:
    assert shrunk(plan(Write("t0"), Write("t1")), lambda plan: writes(plan) == 2) == (Write("t0"), Write("t0"))


def test_actors_are_numbered_from_zero() -> None:
    steps = shrunk(plan(Write("t2"), Write("t4")), lambda plan: writes(plan) == 2 == len(plan.actors()))
    assert steps == (Write("t0"), Write("t1"))


# -- what it makes simpler --------------------------------------------------------------------------------------------


def test_preemptions_that_are_not_needed_go() -> None:
    steps = [Write(actor) for _ in range(3) for actor in ("t0", "t1")]
    found = shrunk(plan(*steps), lambda plan: writes(plan) == 6 and len(plan.actors()) == 2)
    assert preemptions(found) == 0


def test_one_preemption_stays_where_one_is_needed() -> None:
    steps = [Write(actor) for _ in range(3) for actor in ("t0", "t1")]
    assert preemptions(shrunk(plan(*steps), lambda plan: preemptions(plan.steps) >= 1)) == 1


def test_write_becomes_a_query() -> None:
    assert shrunk(plan(Write("t0", hold="statement", swallow=True)), lambda plan: plan.steps) == (Read("t0"),)


def test_what_a_step_says_goes_back_to_its_defaults() -> None:
    steps = shrunk(
        plan(Enter("t0", savepoint=False, alias="other"), Leave("t0", "rollback")), lambda plan: len(plan.steps) == 2
    )
    assert steps == (Enter("t0"), Leave("t0"))


def test_fault_gets_simpler_in_kind() -> None:
    start = plan(Inject(FaultSpec("cut-rst", {"moment": "commit-sent"})), Write("t0"))
    assert shrunk(start, lambda plan: plan.faults() and plan.actors()) == (FIN, Read("t0"))


def test_moment_gets_simpler() -> None:
    def at_commit(plan: Plan) -> bool:
        return any("commit" in str(spec.params.get("moment")) for spec in plan.faults())

    start = plan(Inject(FaultSpec("cut-rst", {"moment": "commit-ready+0", "sides": "client"})), Write("t0"))
    assert shrunk(start, at_commit)[0] == Inject(FaultSpec("cut-fin", {"moment": "commit-sent+0"}))


def test_alias_of_a_fault_goes() -> None:
    start = plan(Inject(FaultSpec("sever-fin"), alias="other"), Write("t0"))
    assert shrunk(start, lambda plan: plan.faults())[0] == FIN


# -- what it never does -----------------------------------------------------------------------------------------------


def test_it_never_takes_another_broken_promise_for_this_one() -> None:
    def run_plan(plan: Plan) -> tuple[str, ...]:
        return (PROMISE,) if writes(plan) >= 2 else ("atomic",)

    assert writes(shrink(BLOATED, run_plan).plan) == 2


def test_it_never_takes_a_void_run_for_a_broken_one() -> None:
    found = shrink(BLOATED, lambda plan: () if len(plan.steps) < 5 else (PROMISE,))
    assert len(found.plan.steps) == 5


def test_it_never_makes_anybody_wait_for_the_bound() -> None:
    steps = (HOLE, Write("t0"), Heal(), Write("t0"))
    assert not costs_the_bound(steps)
    found = shrunk(plan(*steps), lambda plan: plan.faults() and len(plan.actors()) == 1 and writes(plan) == 2)
    assert not costs_the_bound(found)


@pytest.mark.parametrize("steps", [(HOLE, Write("t0"), Read("t0"), Heal()), (HOLE, HOLE, Read("t1"), Read("t1"))])
def test_going_on_behind_silence_costs_the_bound(steps: tuple[Step, ...]) -> None:
    assert costs_the_bound(steps)


def test_plan_that_breaks_nothing_is_said() -> None:
    with pytest.raises(BadInput, match="breaks durable in 0 of 2 runs"):
        shrink(BLOATED, lambda plan: ())


def test_more_cannot_agree_than_are_run() -> None:
    with pytest.raises(BadInput, match="3 of 2 runs"):
        shrink(BLOATED, lambda plan: (PROMISE,), agree=3)


# -- how it tests -----------------------------------------------------------------------------------------------------


def flaky(plan_breaks: Callable[[Plan], object]) -> Callable[[Plan], tuple[str, ...]]:
    """Every third run, whatever its plan, breaks nothing."""
    runs: Iterator[int] = count(1)
    return lambda plan: (PROMISE,) if plan_breaks(plan) and next(runs) % 3 else ()


def test_k_of_n_runs_are_enough() -> None:
    found = shrink(BLOATED, flaky(lambda plan: writes(plan) >= 1), times=3, agree=2)
    assert found.plan.steps == (Write("t0"),)
    assert (found.agreed, found.of) == (2, 3)


def test_a_plan_is_not_run_again() -> None:
    tried: list[bytes] = []

    def run_plan(plan: Plan) -> tuple[str, ...]:
        tried.append(encode(plan.steps))
        return (PROMISE,) if writes(plan) >= 2 else ()

    found = shrink(BLOATED, run_plan)
    assert found.runs == len(tried)
    assert all(tried.count(each) <= 2 for each in tried if each != encode(BLOATED.steps))


def test_first_disagreement_is_enough() -> None:
    found = shrink(plan(Write("t0"), Write("t0")), breaks_if(lambda plan: writes(plan) == 2))
    assert found.runs < 2 * 6


def test_time_that_is_up_leaves_what_was_found() -> None:
    clock = count()
    found = shrink(BLOATED, breaks_if(lambda plan: writes(plan) >= 1), seconds=6, clock=lambda: float(next(clock)))
    assert found.spent
    assert 1 < len(found.plan.steps) < len(BLOATED.steps)


def test_promise_is_that_of_the_plan_else_the_one_to_blame() -> None:
    def run_plan(plan: Plan) -> tuple[str, ...]:
        return ("isolated-threads", PROMISE)

    unsaid = Plan(variant=Variant(name="any"), steps=BLOATED.steps)
    assert shrink(BLOATED, run_plan).promise == PROMISE
    assert shrink(unsaid, run_plan).promise == "isolated-threads"
    assert shrink(unsaid, run_plan, promise=PROMISE).promise == PROMISE


def result() -> Shrunk:
    return shrink(BLOATED, breaks_if(lambda plan: writes(plan) >= 2))


def test_result_is_a_plan_that_says_what_it_breaks() -> None:
    found = result()
    assert decode_plan(encode(found.plan)) == found.plan
    assert found.plan.expect == {PROMISE: "broken"}
    assert found.before == BLOATED


def test_equal_plans_shrink_to_equal_ones() -> None:
    assert encode(result().plan) == encode(result().plan)


def test_nothing_is_left_that_one_pass_could_take() -> None:
    found = result().plan
    smaller = [each for reductions in PASSES for each in reductions(found) if size(each) < size(found)]
    assert not [each for each in smaller if writes(each) >= 2]


@pytest.mark.parametrize("kind", list(FAULTS))
def test_every_fault_can_be_weighed(kind: str) -> None:
    assert size(plan(Inject(FaultSpec(kind)), Write("t0")))[0] == 2
