"""The steps of a plan: what they are called, in Python and in JSON."""

from __future__ import annotations

from typing import get_args

import msgspec

from lab.records.plan import ActorStep, Begin, NemesisStep, StepName


def test_every_step_has_its_name_and_every_name_its_step() -> None:
    steps = (*get_args(ActorStep), *get_args(NemesisStep))
    assert tuple(step.do for step in steps) == get_args(StepName)


def test_the_name_is_what_json_says() -> None:
    assert msgspec.to_builtins(Begin("t0")) == {"do": Begin.do, "actor": "t0"}
