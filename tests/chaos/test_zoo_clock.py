"""Backends that break when much time has passed, which no plan waits for, and correct ones that count by a clock."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from fix_zoo import probed
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.plan import Elapse, Plan
from lab.records.variant import Driver, Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
BROKEN = {
    "checks_with_age": "replaces-stale",
    "renews_in_a_block": "atomic",
    "renews_by_date": "atomic",
    "renews_without_set_up": "initialised",
}
CORRECT = ("correct_ages_with_jitter", "correct_careful")
DRIVERS: tuple[Driver, ...] = ("psycopg2", "psycopg")


def _plans(zygote: Zygote, promise: str) -> list[Plan]:
    """Those in which time passes, with the settings that the variant has."""
    made = PROMISES.get(promise).plans(zygote.variant, zygote.traits)
    return [plan for plan in made if any(isinstance(step, Elapse) for step in plan.steps)]


def _verdicts(rig: Rig, zygote: Zygote, promise: str) -> set[Verdict]:
    found = []
    for plan in _plans(zygote, promise):
        with closing(Zygote(plan.variant, rig.folder, rig.environ())) as configured:
            configured.traits = zygote.traits
            found.append(judge(run(plan, rig, configured), [PROMISES.get(promise)])[0])
    return {finding.verdict for finding in found}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_after_a_long_time_is_caught(name: str, driver: Driver, rig: Rig) -> None:
    variant = Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        assert Verdict.BROKEN in _verdicts(rig, probed(zygote, rig), BROKEN[name])


@pytest.mark.parametrize("zygote", [(name, driver) for name in CORRECT for driver in DRIVERS], indirect=True)
def test_a_correct_backend_is_accused_of_nothing_after_a_long_time(zygote: Zygote, rig: Rig) -> None:
    for promise in PROMISES:
        verdicts = _verdicts(rig, zygote, promise)
        # What is closed because it is too old when it comes back is not there to be struck.
        assert verdicts - {Verdict.NA} == ({Verdict.KEPT} if verdicts else set()), (promise, verdicts)
