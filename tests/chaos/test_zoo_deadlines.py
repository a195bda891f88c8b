"""Backends with a deadline on each call but one kind: the moment of that kind shows it, and no other does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
BOUNDED = PROMISES.get("bounded-wait")
DEADLINE = 0.6
BOUND = 3.0
"""Seconds; the shipped deadline of 8 and bound of 10 say the same, later."""
WITHOUT = {
    "fetches_without_deadline": "a server-side cursor",
    "many_without_deadline": "executemany()",
    "rolls_back_without_deadline": "ROLLBACK",
    "savepoints_without_deadline": "a savepoint",
    "watchdog_dies_once": "a second silence",
    "child_has_no_watchdog": "in a forked process",
}
ALIKE = {"rolls_back_without_deadline": ("COMMIT",)}
"""Django ends a block whose COMMIT has failed by ROLLBACK."""
CORRECT = ("backend_under_test.persistent_threadlocal", "backend_under_test.persistent_global")


@pytest.fixture
def zygote(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Zygote]:
    engine, driver = request.param
    options = {"persistent": {"query_deadline": DEADLINE}}
    variant = Variant(name=engine, engine=engine, driver=driver, path=(str(TESTS),), options=options, bound=BOUND)
    with closing(Zygote(variant, rig.folder, rig.environ())) as started:
        yield started


def _moments(rig: Rig, zygote: Zygote) -> dict[str, set[Verdict]]:
    """What the plans of these moments come to."""
    made = BOUNDED.plans(zygote.variant, zygote.traits)
    plans = [plan for plan in made if plan.moment in (*WITHOUT.values(), "COMMIT")]
    found: dict[str, set[Verdict]] = {}
    with ThreadPoolExecutor(len(plans)) as threads:  # they wait, nearly all the time
        for plan, record in zip(plans, threads.map(lambda plan: run(plan, rig, zygote), plans), strict=True):
            (finding,) = judge(record, [BOUNDED])
            found.setdefault(plan.moment, set()).add(finding.verdict)
    return found


@pytest.mark.parametrize(
    "zygote",
    [
        pytest.param((f"zoo.{name}", driver), id=f"{name}-{driver}", marks=pytest.mark.nightly if marked else ())
        for name in WITHOUT
        for driver, marked in (("psycopg2", False), ("psycopg", True))
    ],
    indirect=True,
)
def test_a_kind_of_call_without_a_deadline_is_found(zygote: Zygote, rig: Rig) -> None:
    name = zygote.variant.name.removeprefix("zoo.")
    found = _moments(rig, zygote)
    broken = {moment for moment, verdicts in found.items() if Verdict.BROKEN in verdicts}
    assert broken == {WITHOUT[name], *ALIKE.get(name, ())}, found


@pytest.mark.parametrize(
    "zygote", [(name, driver) for name in CORRECT for driver in ("psycopg2", "psycopg")], indirect=True, ids="-".join
)
def test_deadlines_on_every_call_are_not_accused(zygote: Zygote, rig: Rig) -> None:
    found = _moments(rig, zygote)
    assert found == {moment: {Verdict.KEPT} for moment in (*WITHOUT.values(), "COMMIT")}, found
