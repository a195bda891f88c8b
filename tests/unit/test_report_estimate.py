"""How long a check still takes: a guess by what is over, which never counts below nothing."""

from __future__ import annotations

import pytest

from lab.report.estimate import Estimate


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_too_few_plans_tell_nothing(clock: Clock) -> None:
    estimate = Estimate(clock)
    clock.now += 4
    assert estimate.left(4, 100) is None
    assert estimate.words(4, 100) == "4 s"


def test_the_rest_goes_on_as_it_went(clock: Clock) -> None:
    estimate = Estimate(clock)
    clock.now += 10
    assert estimate.left(10, 40) == pytest.approx(30)
    assert estimate.words(10, 40) == "10 s, about 30 s left"


def test_what_comes_after_the_plans_counts_too_and_runs_down(clock: Clock) -> None:
    estimate = Estimate(clock)
    estimate.expect(20, whole=False)
    clock.now += 10
    assert estimate.left(10, 20) == pytest.approx(30)
    assert estimate.left(20, 20) == pytest.approx(20)
    clock.now += 8
    assert estimate.left(20, 20) == pytest.approx(12)
    clock.now += 80
    assert estimate.left(20, 20) == 0


def test_a_budget_says_when_it_ends(clock: Clock) -> None:
    estimate = Estimate(clock)
    estimate.expect(60, whole=True)
    clock.now += 45
    assert estimate.left(1, 100) == pytest.approx(15)
    clock.now += 45
    assert estimate.left(2, 100) == 0
