from __future__ import annotations

import itertools

import pytest

from lab.errors import UnknownName
from lab.explore.interleavings import SHAPES, USUAL, Interleaving, Scene, program, shapes
from lab.explore.orders import follow
from lab.records.plan import Begin, End, FaultSpec, Heal, Inject, NemesisStep


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
        steps = scene.steps(case)
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
    steps = scene.steps(Interleaving((), follow((4, 4)), 3))
    place = next(place for place, step in enumerate(steps) if isinstance(step, Inject))
    assert isinstance(steps[place + 2], Heal)
    assert steps[place + 3] == End("t0")
