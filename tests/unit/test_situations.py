from __future__ import annotations

import itertools

import pytest

from lab.judging import earlier
from lab.judging.situations import DIMENSIONS, RULES, combinations, covering, impossible, plans, possible, steps
from lab.promise import PROMISES
from lab.records.plan import Begin, Inject
from lab.records.variant import Variant

ROWS = covering()


@pytest.mark.parametrize("strength", [2, 3])
def test_values_that_can_come_together_do(strength: int) -> None:
    every = [dict(zip(DIMENSIONS, values, strict=True)) for values in itertools.product(*DIMENSIONS.values())]
    wanted = set().union(*(combinations(each, strength) for each in every if possible(each)))
    rows = covering(strength=strength)
    assert all(map(possible, rows))
    assert wanted == set().union(*(combinations(each, strength) for each in rows))
    assert wanted & impossible(strength) == set()


def test_each_row_is_possible_and_the_same_every_time() -> None:
    assert all(map(possible, ROWS))
    assert covering() == ROWS
    assert len(ROWS) < 40


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.why)
def test_each_rule_forbids_something(rule: object) -> None:
    others = [each for each in RULES if each is not rule]
    every = [dict(zip(DIMENSIONS, values, strict=True)) for values in itertools.product(*DIMENSIONS.values())]
    assert any(not possible(each) and not any(other.forbids(each) for other in others) for each in every)


def test_a_variant_for_one_thread_has_one() -> None:
    one = Variant(name="one", threads=1)
    made = list(plans(PROMISES.get("recovers"), one))
    assert {actor.rpartition(".")[2] for plan in made for actor in plan.actors()} == {"t0"}
    assert len(made) > 15


def test_each_plan_has_its_fault() -> None:
    assert all(any(isinstance(step, Inject) for step in steps(row)) for row in ROWS)


def test_what_a_request_did_earlier_is_put_together_with_each_end_of_a_block_on_both_aliases() -> None:
    """Of the values that `lab list situations` prints, a plan's title has two; each request in it has another third."""
    made = list(earlier.plans(PROMISES.get("aborts-cleanly"), Variant(name="any")))
    named = itertools.product(earlier.DIMENSIONS["earlier"], earlier.DIMENSIONS["alias"])
    assert sorted(plan.title for plan in made) == sorted(map(", ".join, named))
    for plan in made:
        assert sum(step == Begin("t0") for step in plan.steps) >= len(earlier.DIMENSIONS["then"])
