"""What a bundled variant is known to break is found again, and what it keeps is kept: strictly, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.accept import expectations, limits
from lab.check.variants import rows
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.pytest_plugin.session import Lab
from lab.records.codec import decode_plan
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.verdict import Verdict
from lab.run import run

pytestmark = pytest.mark.chaos

VARIANTS = rows()
KNOWN = expectations()
REPLAYED = {**KNOWN, **limits()}
NIGHTLY = ("django_per_request", "django_health_checks")
"""Judged every night, for time: on a push their known plans replay."""
TEN_SECONDS = ("works-unfaulted.busy-server", "works-unfaulted.tcp-user-timeout")
"""Limits that take so long: a server that is busy."""
STOCK = ("django_per_request", "django_persistent", "django_health_checks", "django_pool")
PUSHED = [variant for name, variant in VARIANTS.items() if name not in NIGHTLY]
SEED = 1
VOID_TRIES = 3  # a void run proves nothing either way


@pytest.fixture(autouse=True)
def _bundled(lab: Lab) -> None:
    if lab.engines:
        pytest.skip("--lab-engine names others than the bundled variants")


def _run(plan: Plan, lab: Lab) -> Record:
    for _ in range(VOID_TRIES):
        record = run(plan, lab.rig(), lab.zygote(plan.variant))
        if not record.void:
            return record
    pytest.fail(f"{plan.title}: void {VOID_TRIES} times: {record.void}")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=name, marks=pytest.mark.nightly if name in TEN_SECONDS else ())
        for name, path in REPLAYED.items()
    ],
)
def test_known_plan_replays(path: Path, lab: Lab) -> None:
    plan = decode_plan(path.read_bytes(), path.name)
    record = _run(plan, lab)
    found = {each.promise: each for each in judge(record, [PROMISES.get(name) for name in plan.expect])}
    assert {name: str(each.verdict) for name, each in found.items()} == plan.expect, found


@pytest.mark.slow
@pytest.mark.parametrize("promise", list(PROMISES))
@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=pytest.mark.nightly if name in NIGHTLY else ()) for name in VARIANTS]
)
def test_directed_verdict(variant: str, promise: str, lab: Lab) -> None:
    brief = lab.profile.name != "nightly"  # then all moments are looked at, and each message is cut
    judged = PUSHED if brief and variant not in NIGHTLY else list(VARIANTS.values())
    found = lab.results(judged, brief=brief)[variant].promises[promise]
    expected = {Verdict.BROKEN} if f"{variant}.{promise}" in KNOWN else {Verdict.KEPT, Verdict.NA}
    assert found.verdict in expected, f"{found.summary}; {found.moments}; {found.evidence}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=pytest.mark.nightly if name in STOCK else ()) for name in VARIANTS]
)
def test_nothing_else_breaks_at_random(variant: str, lab: Lab) -> None:
    known = [promise for promise in PROMISES if f"{variant}.{promise}" in KNOWN]
    # What nobody has found yet is for the nightly job to find, not for somebody's push: that draws the same plans.
    nightly = lab.profile.name == "nightly"
    searched = lab.search(VARIANTS[variant], exclude=known, unaided=not nightly, seed=None if nightly else SEED)
    # What no replay shows again is noise of the machine, which the record of a replay cannot explain.
    found = [(each.promise, each.finding.summary, each.agreed, each.plan.steps) for each in searched if each.agreed]
    assert not found, f"--lab-seed={searched.seed}"
