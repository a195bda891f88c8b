"""Pools that say nothing of their size: those that level off are not accused, those that lose or grow are."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from lab.check.probe import probe
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.variant import Driver, Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
BOUND = 4.0  # seconds
MOMENTS = {
    "reuses": ("query first", "two actors in turn"),
    "bounded-sessions": ("closed by hand", "threads that take turns", "several requests at once"),
}


def _zygote(name: str, rig: Rig, driver: Driver = "psycopg2") -> Zygote:
    return Zygote(
        Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),)), rig.folder, rig.environ()
    )


def _shown(zygote: Zygote, promise: str, rig: Rig) -> list[tuple[str, Verdict, str]]:
    """Moment, verdict and reason of each plan of some moments, after the probe that a check begins with."""
    zygote.traits = probe(zygote.variant, rig, zygote)
    asked, shown = PROMISES.get(promise), []
    for plan in asked.plans(zygote.variant, zygote.traits):
        if plan.moment in MOMENTS[promise] and plan.variant == zygote.variant:
            found = judge(run(msgspec.structs.replace(plan, bound=BOUND), rig, zygote), [asked])[0]
            shown.append((plan.moment, found.verdict, found.summary))
    return shown


@pytest.mark.parametrize("promise", MOMENTS)
@pytest.mark.parametrize("name", ["correct_preopens", "correct_grows_and_shrinks"])
def test_a_pool_that_levels_off_is_not_accused(name: str, promise: str, rig: Rig) -> None:
    with closing(_zygote(name, rig)) as zygote:
        shown = _shown(zygote, promise, rig)
        assert zygote.traits.levels_off > 1
        assert shown
        assert not [each for each in shown if each[1] is Verdict.BROKEN]


def test_one_that_goes_on_growing_is_accused(rig: Rig) -> None:
    with closing(_zygote("leaks_spares", rig)) as zygote:
        shown = _shown(zygote, "bounded-sessions", rig)
        assert zygote.traits.levels_off == 0
        assert Verdict.BROKEN in [verdict for _, verdict, _ in shown]


def test_a_pool_that_is_made_while_its_engine_is_imported_is_found(rig: Rig) -> None:
    with closing(_zygote("correct_opens_at_import", rig, "psycopg")) as zygote:
        assert zygote.traits.pool_max == 7
