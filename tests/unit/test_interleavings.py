from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UnknownName
from lab.explore.interleavings import (
    SHAPES,
    USUAL,
    Case,
    Scene,
    follow,
    number_of,
    preemptions_of,
    program,
    schedules,
    shapes,
)
from lab.records.plan import Begin, End, FaultSpec, Heal, Inject, NemesisStep
from lab.records.variant import Variant

VARIANT = Variant(name="any")
LENGTHS = st.lists(st.integers(min_value=1, max_value=4), min_size=1, max_size=3)


# -- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lengths", "number"), [((4, 4), 70), ((4,), 1), ((1, 1, 1), 6), ((2, 1, 3), 60)])
def test_every_order_comes_once(lengths: tuple[int, ...], number: int) -> None:
    orders = [follow(lengths, schedule) for schedule in schedules(lengths)]
    assert len(orders) == len(set(orders)) == number == number_of(lengths)


def test_three_requests_of_four_steps_have_34650_orders() -> None:
    assert len(schedules((4, 4, 4))) == number_of((4, 4, 4)) == 34650


@pytest.mark.parametrize(
    ("preemptions", "number"), [(0, 2), (1, 8), (2, 26), (3, 44), (4, 62), (5, 68), (6, 70), (7, 70)]
)
def test_preemptions_bound_the_orders_of_two(preemptions: int, number: int) -> None:
    assert len(schedules((4, 4), preemptions)) == number


@pytest.mark.parametrize(("preemptions", "number"), [(0, 6), (1, 60), (2, 402)])
def test_preemptions_bound_the_orders_of_three(preemptions: int, number: int) -> None:
    assert len(schedules((4, 4, 4), preemptions)) == number


def test_bounded_orders_are_those_of_all_that_fit() -> None:
    orders = {follow((3, 2, 2), schedule) for schedule in schedules((3, 2, 2))}
    bounded = {follow((3, 2, 2), schedule) for schedule in schedules((3, 2, 2), 1)}
    assert bounded == {order for order in orders if preemptions_of(order) <= 1}


def test_fewer_preemptions_come_first() -> None:
    numbers = [preemptions_of(follow((4, 4), schedule)) for schedule in schedules((4, 4))]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(("order", "number"), [("0011", 0), ("0101", 2), ("0110", 1), ("", 0), ("001122", 0)])
def test_going_on_after_the_last_step_of_another_is_no_preemption(order: str, number: int) -> None:
    assert preemptions_of(order) == number


# -- schedules --------------------------------------------------------------------------------------------------------


def test_empty_schedule_is_sequential() -> None:
    assert follow((2, 2, 1)) == (0, 0, 1, 1, 2)


def test_a_schedule_that_ends_early_goes_on() -> None:
    assert follow((3, 2), (1,)) == follow((3, 2), (1, 0, 0, 0, 0)) == (1, 1, 0, 0, 0)


def test_one_is_the_next_actor_that_has_something_left() -> None:
    assert follow((2, 2, 2), (0, 1, 1, 1)) == (0, 1, 2, 0, 1, 2)


@given(LENGTHS, st.lists(st.integers(min_value=0, max_value=1000)))
def test_any_list_is_a_schedule(lengths: list[int], schedule: list[int]) -> None:
    order = follow(lengths, schedule)
    assert [order.count(actor) for actor in range(len(lengths))] == lengths


@given(LENGTHS)
def test_no_schedule_ends_in_zero(lengths: list[int]) -> None:
    found = schedules(lengths, 2)
    assert found[0] == ()
    assert all(schedule[-1] for schedule in found if schedule)


# -- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_a_request_has_four_steps_and_stands_between_its_ends(shape: str) -> None:
    (chosen,) = shapes([shape])
    units = program(chosen, "t7")
    steps = [step for unit in units for step in unit]
    assert len(units) == 4
    assert (steps[0], steps[-1]) == (Begin("t7"), End("t7"))


def test_unknown_request_is_said() -> None:
    with pytest.raises(UnknownName, match="rollback, close"):
        shapes(["sleep"])


def test_the_usual_two_have_seventy_orders() -> None:
    assert len(Scene(USUAL[2]).cases(None)) == 70


def test_each_actor_keeps_its_own_order() -> None:
    scene = Scene(USUAL[3])
    for case in scene.cases(1):
        steps = scene.plan(case, VARIANT, 10.0).steps
        for number, units in enumerate(scene.programs):
            mine = [step for step in steps if not isinstance(step, NemesisStep) and step.actor == f"t{number}"]
            assert mine == list(itertools.chain.from_iterable(units))


def test_a_fault_comes_at_every_position_within_a_request() -> None:
    names = [case.name for case in Scene(("commit", "read"), FaultSpec("terminate")).cases(0)]
    assert names[:6] == ["0!0001111", "00!001111", "000!01111", "00001!111", "000011!11", "0000111!1"]
    assert len(names) == 12


def test_a_fault_between_two_requests_would_find_nobody() -> None:
    assert "0000!1111" not in [case.name for case in Scene(USUAL[2], FaultSpec("terminate")).cases(None)]


def test_a_fault_that_makes_others_wait_is_healed_after_one_step() -> None:
    scene = Scene(("commit", "read"), FaultSpec("black-hole"))
    steps = scene.plan(Case((), follow((4, 4)), 3), VARIANT, 10.0).steps
    place = next(place for place, step in enumerate(steps) if isinstance(step, Inject))
    assert isinstance(steps[place + 2], Heal)
    assert steps[place + 3] == End("t0")
