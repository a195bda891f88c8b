"""The random search finds, unaided, what is known to be wrong with the published backends, and says it briefly."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.check.variants import rows
from lab.explore.search import Found
from lab.promise import PROMISES
from lab.pytest_plugin.session import Lab
from lab.records.codec import decode_plan
from lab.records.plan import Inject
from lab.records.verdict import Verdict

pytestmark = pytest.mark.chaos

SECONDS = 180.0  # a search that finds something ends long before


def _found(lab: Lab, variant: str, promise: str) -> Found:
    searched = lab.search(rows()[variant], promises=[PROMISES.get(promise)], most=1, seconds=SECONDS, unaided=True)
    assert searched.found, (
        f"--lab-seed={searched.seed}: nothing in {searched.cases} cases, {searched.void} of them void"
    )
    return searched.found[0]


@pytest.fixture(autouse=True)
def _bundled(lab: Lab) -> None:
    if lab.engines:
        pytest.skip("--lab-engine names others than the bundled variants")


@pytest.mark.nightly  # for time: a random search, a minute beside other tests
def test_published_backend_stays_dead_after_losing_its_connection(lab: Lab) -> None:
    found = _found(lab, "published_threadlocal", "recovers")
    steps = found.plan.steps
    assert len(steps) <= 6, steps
    (struck,) = [place for place, step in enumerate(steps) if isinstance(step, Inject)]
    assert steps[:struck], "a session was there"
    assert steps[struck + 1 :], "and what comes afterwards shows it"
    assert found.agreed == found.replays


def test_threads_mix_their_transactions_on_the_global_one(lab: Lab) -> None:
    found = _found(lab, "published_global", "isolated-threads")
    assert len(found.plan.steps) <= 8
    assert found.plan.actors() == ("t0", "t1")
    assert not found.plan.faults()
    assert found.agreed == found.replays


def test_shrunk_plan_is_stored_with_the_command_that_replays_it(lab: Lab, tmp_path: Path) -> None:
    found = _found(lab, "published_global", "isolated-threads")
    command = found.save(tmp_path / "plan.json")
    assert command == f"lab replay {tmp_path / 'plan.json'}"
    plan = decode_plan((tmp_path / "plan.json").read_bytes())
    assert plan == found.plan
    assert plan.expect == {"isolated-threads": Verdict.BROKEN}
    assert plan.seed == lab.seed
