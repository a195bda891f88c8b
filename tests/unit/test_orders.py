from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.explore.orders import follow, number_of, preemptions_of, schedules

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
