"""Work that is no request: backends that are broken there on purpose are caught, correct ones are not accused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from fix_zoo import probed
from lab.check.variants import rows
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.lifecycle import MOMENTS
from lab.records.plan import Plan
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]

TESTS = Path(__file__).resolve().parents[1]
BOUND = 4.0  # seconds
SIX = ("bounded-sessions", "clean-session", "fork-safe", "idle-after-close", "recovers", "replaces-stale")


class Broken(NamedTuple):
    """A backend, the promise that it breaks, and the lifecycle's moment whose plans must show it."""

    engine: str
    promise: str
    moment: str


STOCK = "django.db.backends.postgresql"
BROKEN = (
    Broken("zoo.heals_in_requests_only", "recovers", "in a command"),
    Broken("zoo.heals_in_requests_only", "replaces-stale", "in a command"),
    Broken("zoo.hears_signals_only", "recovers", "in a task, closed before"),
    Broken("zoo.hears_signals_only", "recovers", "in a task, closed after"),
    Broken("zoo.hears_signals_only", "replaces-stale", "in a task, closed before and after"),
    Broken("zoo.hears_signals_only", "clean-session", "in a task, closed before and after"),
    Broken("zoo.hears_signals_only", "idle-after-close", "in a task, closed after"),
    Broken("zoo.hears_signals_only", "bounded-sessions", "in a task, closed after"),
    Broken("zoo.begins_again", "idle-after-close", "in a command"),
    Broken("zoo.begins_again", "idle-after-close", "in an executor's thread"),
    Broken("zoo.correct_keeper", "clean-session", "in a command"),
    Broken("zoo.never_checks", "replaces-stale", "in a stream"),
    Broken("zoo.stays_dead", "recovers", "in a stream"),
    Broken(STOCK, "bounded-sessions", "in an executor's thread"),
    Broken(STOCK, "recovers", "in an executor's thread"),
    Broken(STOCK, "fork-safe", "in a command"),
    Broken(STOCK, "fork-safe", "in a stream"),
)


class Stage:
    """One variant, looked at as a check does before it judges."""

    def __init__(self, rig: Rig, variant: Variant, stack: ExitStack) -> None:
        self._rig = rig
        self._variant = variant
        self._zygote = stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
        probed(self._zygote, rig)

    def plans(self, promise: str, moment: str = "") -> list[Plan]:
        """The directed plans of a promise for units of work that are no requests."""
        asked = PROMISES.get(promise)
        if asked.not_applicable(self._variant, self._zygote.traits):
            return []
        plans = asked.plans(self._variant, self._zygote.traits)
        wanted = (moment,) if moment else tuple(MOMENTS.values())
        return [msgspec.structs.replace(plan, bound=BOUND) for plan in plans if plan.moment in wanted]

    def shows(self, promise: str, moment: str = "") -> list[tuple[str, str, Verdict, str]]:
        """Moment, title, verdict and reason of every plan."""
        shown = []
        for plan in self.plans(promise, moment):
            record = run(plan, self._rig, self._zygote)
            found = judge(record, [PROMISES.get(promise)])[0]
            shown.append((plan.moment, plan.title, found.verdict, found.summary))
        return shown


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("beast", BROKEN, ids=lambda beast: f"{beast.engine}, {beast.promise}, {beast.moment}")
def test_a_broken_backend_is_caught(beast: Broken, rig: Rig, stack: ExitStack) -> None:
    variant = Variant(name=beast.engine, engine=beast.engine, path=(str(TESTS),))
    shown = Stage(rig, variant, stack).shows(beast.promise, beast.moment)
    assert Verdict.BROKEN in [verdict for *_, verdict, _ in shown], shown


NIGHTLY = pytest.mark.nightly  # for time: each takes 10 seconds, and its like is judged on every push
CORRECT = (
    pytest.param(
        Variant(name="pings everywhere, psycopg2", engine="zoo.correct_pings_everywhere", path=(str(TESTS),)),
        marks=NIGHTLY,
    ),
    pytest.param(
        Variant(name="closes outside, psycopg2", engine="zoo.correct_closes_outside", path=(str(TESTS),)),
        marks=NIGHTLY,
    ),
    pytest.param(
        Variant(name="closes outside", engine="zoo.correct_closes_outside", driver="psycopg", path=(str(TESTS),))
    ),
    # Of these two, test_bundled.py asks for the same moments on every push, by one plan for each.
    pytest.param(rows()["persistent_global"], marks=NIGHTLY),
    pytest.param(rows()["persistent_threadlocal"], marks=NIGHTLY),
    pytest.param(msgspec.structs.replace(rows()["persistent_threadlocal"], driver="psycopg"), marks=NIGHTLY),
)
ONE_SESSION_PER_THREAD = ("bounded-sessions", "in an executor's thread")
"""What a backend that keeps a session for each thread does with threads of which it never hears again: its limit."""

INTERRUPTED = "fault interrupt, moment COMMIT"
"""In a command, with psycopg 3: the session still has its COMMIT under way, and nothing tells Django to look at it."""


@pytest.mark.slow
@pytest.mark.parametrize("variant", CORRECT, ids=lambda variant: f"{variant.name}, {variant.driver}")
def test_a_correct_backend_is_not_accused(variant: Variant, rig: Rig, stack: ExitStack) -> None:
    stage = Stage(rig, variant, stack)
    accused = [(promise, *shown) for promise in SIX for shown in stage.shows(promise) if shown[2] is Verdict.BROKEN]
    closes = variant.engine == "zoo.correct_closes_outside"
    accused = [each for each in accused if closes or each[:2] != ONE_SESSION_PER_THREAD]
    of_django = variant.driver == "psycopg" and closes
    assert [each for each in accused if not (of_django and each[0] == "recovers" and INTERRUPTED in each[2])] == []


@pytest.mark.parametrize("promise", SIX)
def test_every_lifecycle_is_a_moment_of_the_promise(promise: str) -> None:
    from lab.records.variant import Traits  # noqa: PLC0415

    stock = Variant(name="stock", settings={"CONN_MAX_AGE": None})
    plans = list(PROMISES.get(promise).plans(stock, Traits(conn_max_age=None)))
    assert {plan.moment for plan in plans} >= set(MOMENTS.values())
