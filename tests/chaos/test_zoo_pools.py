"""Pools that say nothing of their size: those that level off are not accused, those that lose or grow are."""

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

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
STOCK = "django.db.backends.postgresql"
BOUND = 4.0  # seconds
MOMENTS = {
    "reuses": ("query first", "two actors in turn"),
    "bounded-sessions": (
        *("closed by hand", "a statement's error", "set-up fails", "threads that end, in a request"),
        *("threads that end, between requests", "several requests at once", "in a stream"),
    ),
}
KEEP_SPARES = (
    *("correct_preopens", "correct_grows_and_shrinks", "correct_keeps_idle_spares", "correct_opens_in_batches"),
    *("correct_refills_behind", "correct_spares_per_thread", "correct_readies_the_next"),
)
LEAK = {
    "leaks_spares": "closed by hand",
    "leaks_beside_spares": "a statement's error",
    "leaks_while_growing": "a statement's error",
    "forgets_the_ready_one": "a statement's error",
    "leaks_replaced": "a statement's error",
    "leaks_half_made": "set-up fails",
    "keyed_by_thread": "threads that end, between requests",
    "gives_up_last_alias": "threads that end, in a request",
}
"""Backends that lose sessions, and a moment that shows it."""


def _variant(name: str, driver: Driver = "psycopg2") -> Variant:
    return Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),))


def _zygote(name: str, rig: Rig, driver: Driver = "psycopg2") -> Zygote:
    return Zygote(_variant(name, driver), rig.folder, rig.environ())


def _shown(zygote: Zygote, promise: str, rig: Rig, *moments: str) -> list[tuple[str, str, Verdict, str]]:
    """Moment, title, verdict and reason of each plan of some moments, after the probe that a check begins with."""
    probed(zygote, rig)
    asked, shown = PROMISES.get(promise), []
    for plan in asked.plans(zygote.variant, zygote.traits):
        if plan.moment in (moments or MOMENTS[promise]) and plan.variant == zygote.variant:
            found = judge(run(msgspec.structs.replace(plan, bound=BOUND), rig, zygote), [asked])[0]
            shown.append((plan.moment, plan.title, found.verdict, found.summary))
    return shown


@pytest.mark.parametrize("driver", ["psycopg2", pytest.param("psycopg", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("promise", MOMENTS)
@pytest.mark.parametrize("name", KEEP_SPARES)
def test_a_pool_that_keeps_spares_is_not_accused(name: str, promise: str, driver: Driver, rig: Rig) -> None:
    with closing(_zygote(name, rig, driver)) as zygote:
        shown = _shown(zygote, promise, rig)
        assert zygote.traits.levels
        assert {each[0] for each in shown} == set(MOMENTS[promise])
        assert not [each for each in shown if each[2] is Verdict.BROKEN], zygote.traits.levels


def test_threads_that_take_turns_on_spares_that_they_share_are_not_accused(rig: Rig) -> None:
    with closing(_zygote("correct_keeps_idle_spares", rig)) as zygote:
        shown = _shown(zygote, "bounded-sessions", rig, "threads that take turns")
        assert [each[2] for each in shown] == [Verdict.KEPT], shown


@pytest.mark.parametrize("name", ["correct_spares_per_thread", "correct_keeps_idle_spares"])
def test_what_is_left_on_a_session_that_comes_in_turn_is_looked_at(name: str, rig: Rig) -> None:
    with closing(_zygote(name, rig)) as zygote:
        shown = _shown(zygote, "clean-session", rig, "SET", "temp table")
        assert {each[2] for each in shown} == {Verdict.KEPT}, shown


def test_one_that_readies_the_next_session_is_seen_to_have_one_more_than_is_in_use(rig: Rig) -> None:
    with closing(_zygote("correct_readies_the_next", rig)) as zygote:
        traits = probed(zygote, rig).traits
        assert [seen - number for number, seen in enumerate(traits.levels, 1)] in ([1] * 4, [2] * 4), traits.keeping
        assert traits.kept == 0


@pytest.mark.parametrize(("maximum", "verdict"), [(0, Verdict.BROKEN), (5, Verdict.KEPT), (2, Verdict.BROKEN)])
def test_a_maximum_that_depends_on_threads_can_be_stated(maximum: int, verdict: Verdict, rig: Rig) -> None:
    """Five sessions wait, by threads that take turns: rounds of requests show one."""
    stated = msgspec.structs.replace(_variant("correct_two_tiers"), maximum=maximum)
    with closing(Zygote(stated, rig.folder, rig.environ())) as zygote:
        (shown,) = _shown(zygote, "bounded-sessions", rig, "threads that take turns")
        assert shown[2] is verdict, shown


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("keeps_its_place", Verdict.BROKEN),
        ("correct_bounded", Verdict.KEPT),
        ("correct_queues", Verdict.KEPT),
    ],
)
def test_a_waiter_that_a_signal_has_interrupted_is_handed_nothing(name: str, verdict: Verdict, rig: Rig) -> None:
    with closing(_zygote(name, rig)) as zygote:
        shown = _shown(zygote, "recovers", rig, "signal in a checkout")
        assert zygote.traits.queue_limit == 3
        assert [each[2] for each in shown if each[1] == "all are taken"] == [verdict], shown


@pytest.mark.parametrize("name", LEAK)
def test_a_backend_that_loses_sessions_is_caught(name: str, rig: Rig) -> None:
    with closing(_zygote(name, rig)) as zygote:
        shown = _shown(zygote, "bounded-sessions", rig, LEAK[name])
        assert Verdict.BROKEN in [verdict for _, _, verdict, _ in shown], shown


def test_one_that_goes_on_growing_has_no_level(rig: Rig) -> None:
    with closing(_zygote("leaks_spares", rig)) as zygote:
        assert probed(zygote, rig).traits.levels == ()


def test_a_pool_that_is_made_while_its_engine_is_imported_is_found(rig: Rig) -> None:
    with closing(_zygote("correct_opens_at_import", rig, "psycopg")) as zygote:
        assert zygote.traits.pool_max == 7


def test_a_pool_that_has_a_maximum_and_keeps_nothing_is_seen_to(rig: Rig) -> None:
    with closing(_zygote("correct_keeps_nothing", rig, "psycopg")) as zygote:
        shown = _shown(zygote, "bounded-sessions", rig)
        assert (zygote.traits.pool_max, zygote.traits.kept) == (4, 0)
        assert not [each for each in shown if each[2] is Verdict.BROKEN]
        assert PROMISES.get("reuses").not_applicable(zygote.variant, zygote.traits)


def test_a_pool_that_hands_out_its_sessions_in_turn_is_seen_to_keep_them(rig: Rig) -> None:
    with closing(_zygote("correct_own_pool", rig, "psycopg")) as zygote:
        assert probed(zygote, rig).traits.kept


@pytest.mark.parametrize(("engine", "told"), [("zoo.closes_pool_at_end", Verdict.BROKEN), (STOCK, Verdict.KEPT)])
@pytest.mark.parametrize("most", [4, 20])
def test_a_pool_that_the_settings_ask_for_must_keep(engine: str, told: Verdict, most: int, rig: Rig) -> None:
    variant = Variant(
        name=engine, engine=engine, driver="psycopg", path=(str(TESTS),), options={"pool": {"max_size": most}}
    )
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        shown = _shown(zygote, "reuses", rig, "query first", "atomic() first", "two actors in turn")
        assert [each[2] for each in shown] == [told] * 3, shown
