from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import seed as seeded

from lab.explore.shrink import shrink
from lab.explore.strategies import fault_specs, plans
from lab.explore.weave import Program, Turn, weave
from lab.fault import FAULTS, build
from lab.judging.earlier import ALIASES, BLOCKS, EARLIER
from lab.judging.plan_parts import on
from lab.judging.situations import DIMENSIONS, Values, combinations, possible
from lab.records.codec import decode_plan, encode
from lab.records.lifecycle import TELLS, Lifecycle
from lab.records.plan import (
    Begin,
    Close,
    Commit,
    Elapse,
    End,
    Enter,
    Exit,
    FaultSpec,
    Finish,
    Fork,
    Heal,
    Inject,
    Leave,
    Look,
    NemesisStep,
    Plan,
    Read,
    Rollback,
    Sql,
    Step,
    Stop,
    Write,
)
from lab.records.variant import Variant
from unit.reached import situations

VARIANT = Variant(name="any")
OTHERS = ("same", "kin", "twin", "other")
DRAWN = 1200
SELDOM = 10
"""Of 327 possible pairs, those that so many plans need not reach: seen were 2 to 6, other ones for each seed, nearly
all of them with a thread's end, which is drawn seldom because it ends a program."""
QUICK = settings(
    max_examples=150, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
FIN = FaultSpec("sever-fin")
HOLE = FaultSpec("black-hole")


def minimal(condition: Callable[[Plan], Any]) -> tuple[Step, ...]:
    """What Hypothesis, and then the lab's own reducer, shrink to."""
    wanted = settings(QUICK, max_examples=5000, phases=[Phase.generate, Phase.shrink])
    found = find(plans(VARIANT), lambda plan: bool(condition(plan)), settings=wanted)
    return shrink(found, lambda plan: ("wanted",) if condition(plan) else (), promise="wanted", times=1).plan.steps


@cache
def drawn(number: int) -> list[Plan]:
    found: list[Plan] = []

    @seeded(7)
    @settings(QUICK, max_examples=number, derandomize=False, phases=[Phase.generate])
    @given(plans(VARIANT))
    def draw(plan: Plan) -> None:
        found.append(plan)

    draw()
    return found


def program(*acts: Any, go: dict[int, int] | None = None, lifecycle: Lifecycle = "request") -> Program:
    return Program(tuple(Turn(act, (go or {}).get(index, 0)) for index, act in enumerate(acts)), lifecycle)


def faults(plan: Plan) -> list[str]:
    return [fault.kind for fault in plan.faults()]


# -- weaving ----------------------------------------------------------------------------------------------------------


def test_without_hops_the_programs_follow_one_another() -> None:
    steps = weave([program(Read(""), End("")), program(Write(""))])
    assert steps == (Begin("t0"), Read("t0"), End("t0"), Begin("t1"), Write("t1"))


def test_hop_lets_the_other_actor_work_first() -> None:
    steps = weave([program(Enter(""), Leave(""), go={1: 1}), program(Write(""))])
    assert steps == (Begin("t0"), Enter("t0"), Begin("t1"), Write("t1"), Leave("t0"))


@pytest.mark.parametrize("go", [1, 2, 3, 4, 5, 1000])
def test_any_integer_is_a_hop(go: int) -> None:
    programs = [program(Read(""), Read(""), go={1: go}), program(Read("")), program(Read(""))]
    assert sum(isinstance(step, Read) for step in weave(programs)) == 4


def test_last_request_needs_no_end() -> None:
    assert weave([program(Read(""))]) == (Begin("t0"), Read("t0"))


@pytest.mark.parametrize("act", [End(""), Leave(""), Heal()])
def test_what_has_no_effect_is_left_out(act: Any) -> None:
    assert weave([program(act)]) == ()


def test_cut_without_a_connection_is_left_out() -> None:
    assert weave([program(FIN, Read(""))]) == (Begin("t0"), Read("t0"))


def test_idle_connection_is_cut_only_where_one_is_kept() -> None:
    turns = [program(Read(""), End(""), FIN)]
    assert Inject(FIN) in weave(turns, keeps=True)
    assert Inject(FIN) not in weave(turns, keeps=False)


def test_silence_is_healed_before_an_actor_that_waits_goes_on() -> None:
    steps = weave([program(Read(""), HOLE, Read(""), Read(""))])
    assert steps == (Begin("t0"), Read("t0"), Inject(HOLE), Read("t0"), Heal(), Read("t0"))


def test_silence_at_the_end_is_healed() -> None:
    assert weave([program(Read(""), HOLE, Read(""))])[-1] == Heal()


def test_time_passes_while_nobody_waits() -> None:
    later = Elapse(3600)
    assert later in weave([program(Read(""), later, Read(""))])
    assert later not in weave([program(Read(""), HOLE, Read(""), later, Read(""))])
    assert later not in weave([program(Read("", hold=True), later)])


def test_held_actor_is_released_before_another_one_can_wait_for_it_twice() -> None:
    held = program(Read("", hold=True))
    other = program(Read(""), Read(""), Read(""), go={1: 1})
    steps = weave([other, held])
    assert steps.index(End("t1")) < len(steps) - 1


# -- drawing ----------------------------------------------------------------------------------------------------------


@QUICK
@given(plans(VARIANT, seed=5))
def test_every_plan_can_be_stored_and_its_faults_built(plan: Plan) -> None:
    assert decode_plan(encode(plan)) == plan
    assert plan.seed == 5
    for spec in plan.faults():
        build(spec)


@QUICK
@given(plans(VARIANT))
def test_steps_stand_in_units_of_work(plan: Plan) -> None:
    open_: set[str] = set()
    for step in plan.steps:
        if isinstance(step, NemesisStep):
            continue
        if isinstance(step, Begin):
            assert step.actor not in open_
            open_.add(step.actor)
        elif isinstance(step, Fork):
            open_ |= {f"{step.child}.t0"} if step.actor in open_ else set()
        elif isinstance(step, Finish):
            assert step.actor not in open_
        elif not isinstance(step, Stop | Exit):
            assert step.actor in open_
        if isinstance(step, End):
            open_.remove(step.actor)


@QUICK
@given(plans(VARIANT))
def test_only_a_request_ends_inside_a_block(plan: Plan) -> None:
    depth: dict[str, int] = {}
    for step in plan.steps:
        if isinstance(step, Enter | Leave):
            depth[step.actor] = depth.get(step.actor, 0) + (1 if isinstance(step, Enter) else -1)
        elif isinstance(step, End | Stop):
            assert plan.lifecycle(step.actor) == "request" or not depth.get(step.actor)
            depth[step.actor] = 0
        elif isinstance(step, Fork):
            depth[f"{step.child}.t0"] = depth.get(step.actor, 0)
    assert not any(each for actor, each in depth.items() if plan.lifecycle(actor) != "request")


@QUICK
@given(plans(VARIANT))
def test_silence_never_costs_the_bound(plan: Plan) -> None:
    silent = False
    stepped: set[str] = set()
    for step in plan.steps:
        if isinstance(step, Inject):
            silent = silent or FAULTS.get(step.fault.kind).waits
            stepped = set()
        elif isinstance(step, Heal):
            silent = False
        elif not isinstance(step, NemesisStep):
            assert not (silent and step.actor in stepped)
            stepped.add(step.actor)
    assert not silent or not stepped


def test_every_fault_is_drawn() -> None:
    kinds: set[str] = set()

    @seeded(7)
    @settings(QUICK, max_examples=1500, derandomize=False, phases=[Phase.generate])
    @given(fault_specs(FAULTS.values()))
    def draw(spec: FaultSpec) -> None:
        kinds.add(spec.kind)

    draw()
    assert kinds == set(FAULTS)


@pytest.mark.parametrize("kind", list(FAULTS))
def test_every_fault_has_a_place(kind: str) -> None:
    inside = program(Enter(""), Read("", hold=True), FaultSpec(kind), Leave(""))
    assert kind in [step.fault.kind for step in weave([inside]) if isinstance(step, Inject)]


def test_only_what_the_rig_can_do_is_drawn() -> None:
    kinds = {kind for kind in FAULTS if not FAULTS.get(kind).needs}

    @QUICK
    @given(plans(VARIANT, capabilities=()))
    def check(plan: Plan) -> None:
        assert set(faults(plan)) <= kinds

    check()


def test_plans_are_spread_out() -> None:
    found = drawn(500)
    share = {number: sum(len(plan.actors()) == number for plan in found) / len(found) for number in (1, 2, 3)}
    assert min(share.values()) > 0.1
    with_fault = sum(bool(plan.faults()) for plan in found) / len(found)
    assert 0.3 < with_fault < 0.8


@pytest.mark.slow
def test_every_dimension_of_a_situation_is_reached() -> None:
    """Every value, and every pair of values that can come together: no rule of lab/judging/situations.py forbids it."""
    reached: Counter[Values] = Counter()
    values: Counter[Values] = Counter()
    for plan in drawn(DRAWN):
        for situation in situations(plan):
            values.update(combinations(situation, 1))
            reached.update(combinations(situation))
    every = [dict(zip(DIMENSIONS, each, strict=True)) for each in itertools.product(*DIMENSIONS.values())]
    possible_pairs = set().union(*(combinations(each) for each in every if possible(each)))
    assert {name: {value for ((of, value),) in values if of == name} for name in DIMENSIONS} == {
        name: set(each) for name, each in DIMENSIONS.items()
    }
    missed = possible_pairs - set(reached)
    assert len(missed) <= SELDOM, sorted(missed)


@pytest.mark.slow
def test_what_no_situation_names_is_drawn_too() -> None:
    found = drawn(DRAWN)
    steps = [step for plan in found for step in plan.steps]
    assert {type(step) for step in steps} >= {*(Fork, Exit, Finish, Look, Sql, Stop, Close, Commit, Rollback, Heal)}
    assert {plan.lifecycle(actor) for plan in found for actor in plan.actors()} == set(TELLS)
    assert {step.alias for step in steps if isinstance(step, Read | Write | Enter | Look)} == {"default", *OTHERS}
    assert {step.how for step in steps if isinstance(step, Exit)} == {"os._exit", "normal", "close_all"}
    assert {step.savepoint for step in steps if isinstance(step, Enter)} == {True, False}


@pytest.mark.slow
def test_what_a_request_did_earlier_and_how_its_block_ends_come_together() -> None:
    """Three things at once, which no pair of the situations' dimensions holds: each value of each is reached."""
    programs = [
        [_anybodys(step) for step in plan.steps if isinstance(step, Elapse) or getattr(step, "actor", None) == actor]
        for plan in drawn(DRAWN)
        for actor in plan.actors()
    ]
    every = itertools.product(EARLIER, BLOCKS, ALIASES)
    reached = [each for each in every if any(_holds(steps, _whole(*each)) for steps in programs)]
    assert [set(each) for each in zip(*reached, strict=True)] == [set(EARLIER), set(BLOCKS), set(ALIASES)]
    assert len(reached) > len(EARLIER) * len(BLOCKS)


def _whole(earlier: str, then: str, alias: str) -> list[Step]:
    return [_anybodys(step) for step in on(alias, *EARLIER[earlier], *BLOCKS[then])]


def _anybodys(step: Step) -> Step:
    return step if isinstance(step, NemesisStep) else msgspec.structs.replace(step, actor="")


def _holds(steps: list[Step], part: list[Step]) -> bool:
    return any(steps[place : place + len(part)] == part for place in range(len(steps) - len(part) + 1))


# -- shrinking --------------------------------------------------------------------------------------------------------


def test_smallest_plan() -> None:
    assert minimal(lambda _: True) == (Begin("t0"),)


def test_smallest_fault_after_a_write() -> None:
    def written_then_cut(plan: Plan) -> bool:
        writes = [index for index, step in enumerate(plan.steps) if isinstance(step, Write)]
        cuts = [index for index, step in enumerate(plan.steps) if isinstance(step, Inject)]
        return bool(writes and cuts and min(writes) < max(cuts))

    assert minimal(written_then_cut) == (Write("t0"), Inject(FIN))


def test_smallest_write_of_another_inside_a_block() -> None:
    def inside(plan: Plan) -> bool:
        """`t0` enters, another actor writes, `t0` leaves, with nothing between that is said to be needed."""
        names = [(getattr(step, "actor", ""), type(step)) for step in plan.steps]
        entered = names.index(("t0", Enter)) if ("t0", Enter) in names else len(names)
        left = names.index(("t0", Leave)) if ("t0", Leave) in names else -1
        return any(actor == "t1" and kind is Write for actor, kind in names[entered:left] if left > entered)

    steps = minimal(inside)
    assert steps == (Enter("t0"), Write("t1"), Leave("t0"))
