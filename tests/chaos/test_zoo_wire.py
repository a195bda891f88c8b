"""exactly-once, own-answers and honest-error, proven on backends that are broken on purpose and on some that work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import pytest

from lab.fault import needs
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.plan import Plan
from lab.records.variant import Driver, Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.nightly]

TESTS = Path(__file__).resolve().parents[1]
THREE = ("exactly-once", "honest-error", "own-answers")


class Broken(NamedTuple):
    """A backend of the zoo, the promise that it breaks, and a moment whose plans must all show it."""

    name: str
    promise: str
    moment: str


BROKEN = (
    Broken("reruns_block", "exactly-once", "COMMIT, answer lost"),
    Broken("reruns_block", "exactly-once", "commit(), answer lost"),
    Broken("replays_insert", "exactly-once", "INSERT, answer lost"),
    Broken("replays_first_statement", "exactly-once", "INSERT, first in its request"),
    Broken("replays_in_commands", "exactly-once", "in a command"),
    Broken("replays_in_commands", "exactly-once", "in a task, closed before and after"),
    Broken("answers_late", "own-answers", "after cancel"),
    Broken("answers_late", "own-answers", "after timeout"),
    Broken("answers_late", "own-answers", "after reconnect"),
    Broken("cancels_behind", "own-answers", "after interrupt, a cancel that comes late"),
    Broken("hides_commit_error", "honest-error", "at COMMIT, then refused"),
    Broken("retells_errors", "honest-error", "mid-query"),
    Broken("retells_errors", "honest-error", "INSERT"),
    Broken("blames_the_statement", "honest-error", "mid-query"),
    Broken("hides_connect_error", "honest-error", "connecting, refused"),
    Broken("hides_connect_error", "honest-error", "connecting, authentication"),
    Broken("hides_connect_error", "honest-error", "connecting, no slot"),
    Broken("swallows_lost_commit", "honest-error", "at COMMIT"),
    Broken("swallows_lost_commit", "honest-error", "at COMMIT, answer lost"),
    Broken("swallows_lost_commit", "honest-error", "at COMMIT, sent"),
    Broken("takes_progress_for_committed", "honest-error", "at COMMIT, in progress"),
    Broken("swallows_exit", "honest-error", "mid-query, told to exit"),
    Broken("swallows_exit", "honest-error", "at COMMIT, told to exit"),
)
CORRECT: tuple[tuple[str, Driver], ...] = (
    ("zoo.correct_keeper", "psycopg2"),
    ("zoo.correct_keeper", "psycopg"),
    ("django.db.backends.postgresql", "psycopg2"),
    ("django.db.backends.postgresql", "psycopg"),
)

Bench = Callable[[str, Driver], Zygote]


@pytest.fixture
def bench(rig: Rig) -> Iterator[Bench]:
    """Start a backend; it is ended with the test."""
    with ExitStack() as stack:

        def start(engine: str, driver: Driver) -> Zygote:
            variant = Variant(
                name=engine, engine=engine, driver=driver, path=(str(TESTS),), settings={"CONN_MAX_AGE": None}
            )
            return stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))

        yield start


def plans(rig: Rig, zygote: Zygote, promise: str, moment: str = "") -> list[Plan]:
    """The directed plans of one promise, of one moment where it is given, for the variant as it is, on this rig."""
    made = PROMISES.get(promise).plans(zygote.variant, zygote.traits)
    asked = [plan for plan in made if plan.variant == zygote.variant and moment in ("", plan.moment)]
    return [plan for plan in asked if needs(plan) <= rig.capabilities]


def findings(rig: Rig, zygote: Zygote, plan: Plan) -> tuple[Finding, ...]:
    """What the three promises say of one run."""
    return judge(run(plan, rig, zygote), [PROMISES.get(promise) for promise in THREE])


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.name} {broken.moment}")
def test_a_broken_backend_is_caught_at_each_plan_of_the_moment(rig: Rig, bench: Bench, broken: Broken) -> None:
    zygote = bench(f"zoo.{broken.name}", "psycopg2")
    found = plans(rig, zygote, broken.promise, broken.moment)
    assert found
    for plan in found:
        (told,) = [each for each in findings(rig, zygote, plan) if each.promise == broken.promise]
        assert told.verdict is Verdict.BROKEN, f"{plan.title}: {told.summary}"


DJANGOS_OWN = ("at COMMIT, then refused", "at COMMIT, answer lost, then refused", "at COMMIT, interrupted")
"""Leaving atomic() sets autocommit back, which connects, and what that raises hides COMMIT's own error (Django 5.2,
6.1; the last with psycopg alone). Every backend that is built on Django's has this, whatever else it does well."""


NOT_ALWAYS = ("at the end, after a statement's error", "at close, interrupted")
"""Where a correct backend replaces its session unasked, or has nothing to say at close(), no call can raise."""


def _welcome(plan: Plan) -> tuple[Verdict, ...]:
    if plan.moment in DJANGOS_OWN:
        return (Verdict.KEPT, Verdict.BROKEN)
    return (Verdict.KEPT, Verdict.NA) if plan.moment in NOT_ALWAYS else (Verdict.KEPT,)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "driver"), CORRECT, ids=lambda value: value)
def test_a_correct_backend_is_not_accused(rig: Rig, bench: Bench, engine: str, driver: Driver) -> None:
    zygote = bench(engine, driver)
    told = [
        (plan.title, each.promise, each.summary)
        for promise in THREE
        for plan in plans(rig, zygote, promise)
        for each in findings(rig, zygote, plan)
        if (each.verdict is Verdict.BROKEN and plan.moment not in DJANGOS_OWN)
        or (each.promise == promise and each.verdict not in _welcome(plan))
    ]
    assert told == []


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize(
    "moment",
    [
        *("at COMMIT, never sent", "at COMMIT, in progress", "at COMMIT, sent", "at COMMIT, answer lost", "at COMMIT"),
    ],
)
def test_a_commit_that_was_looked_up_is_told_as_it_is(rig: Rig, bench: Bench, moment: str, driver: Driver) -> None:
    zygote = bench("zoo.correct_looks_up_commits", driver)
    for plan in plans(rig, zygote, "honest-error", moment):
        assert [each.verdict for each in findings(rig, zygote, plan) if each.promise == "honest-error"] == [
            Verdict.KEPT
        ]
