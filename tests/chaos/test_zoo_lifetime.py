"""Sessions that end of themselves are no effect of a fault or an error; what costs them besides is still seen."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fix_zoo import probed
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.variant import Driver, Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]

TESTS = Path(__file__).resolve().parents[1]
BOUND = 4.0  # seconds
DRIVERS = ("psycopg2", pytest.param("psycopg", marks=[pytest.mark.slow, pytest.mark.nightly]))
MOMENTS = {
    "alias-separate": ("another database, a fault on one", "the same database, a fault on one"),
    "keeps-healthy": ("unique, autocommit", "unique, in atomic()", "lock", "deadlock"),
}


def _zygote(name: str, rig: Rig, driver: Driver = "psycopg2") -> Zygote:
    variant = Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),))
    return probed(Zygote(variant, rig.folder, rig.environ()), rig)


def _shown(zygote: Zygote, promise: str, rig: Rig) -> dict[str, list[Verdict]]:
    """By moment, what each of its plans comes to."""
    asked = PROMISES.get(promise)
    shown: dict[str, list[Verdict]] = {}
    for plan in asked.plans(zygote.variant, zygote.traits):
        if plan.moment in MOMENTS[promise]:
            (found,) = judge(run(msgspec.structs.replace(plan, bound=BOUND), rig, zygote), [asked])
            shown.setdefault(plan.moment, []).append(found.verdict)
    assert set(shown) == set(MOMENTS[promise])
    return shown


@pytest.mark.parametrize(
    ("name", "serves", "lasts", "said"),
    [
        ("correct_careful", 51, (10.5,), "kept across requests"),
        ("correct_ends_after_five", 4, (10.5,), "each for 5 requests"),
        ("correct_ends_at_random", 0, (10.5,), "which end after no fixed number of requests"),
        # Two to three seconds, of which a busy machine takes its part.
        ("correct_ages_with_jitter", 51, (1.5, 0.0), "which end after some seconds"),
        pytest.param("correct_closes_when_idle", 51, (0.0,), "which end after some seconds", marks=pytest.mark.slow),
    ],
)
def test_how_long_sessions_last_is_seen(name: str, serves: int, lasts: tuple[float, ...], said: str, rig: Rig) -> None:
    with closing(_zygote(name, rig)) as zygote:
        traits = zygote.traits
        assert traits.serves == serves, traits.keeping
        assert traits.lasts in lasts, traits.keeping
        assert traits.keeping.endswith(said)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("promise", MOMENTS)
@pytest.mark.parametrize("name", ["correct_ends_after_five", "correct_ends_at_random"])
def test_sessions_that_end_of_themselves_are_no_accusation(name: str, promise: str, driver: Driver, rig: Rig) -> None:
    with closing(_zygote(name, rig, driver)) as zygote:
        shown = _shown(zygote, promise, rig)
    assert not [each for each in shown.values() if Verdict.BROKEN in each], shown
    if name == "correct_ends_after_five":
        assert all(Verdict.KEPT in each for each in shown.values()), shown


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("name", "promise"),
    [("ends_after_five_and_all", "alias-separate"), ("ends_after_five_and_at_errors", "keeps-healthy")],
)
def test_what_costs_them_besides_is_seen(name: str, promise: str, driver: Driver, rig: Rig) -> None:
    with closing(_zygote(name, rig, driver)) as zygote:
        assert zygote.traits.serves == 4
        shown = _shown(zygote, promise, rig)
    assert all(Verdict.BROKEN in each for each in shown.values()), shown
