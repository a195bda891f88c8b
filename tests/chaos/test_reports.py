"""What users of Django and its drivers have reported, from what a reporter has: each is judged as it should be.

The inputs are in tests/reports, one folder for each: a plan, or an ENGINE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from fix_zoo import probed
from lab.check.check import Options, check
from lab.check.variants import rows
from lab.cli.options import variants_of
from lab.fault import needs
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.pytest_plugin.session import Lab as LabSession
from lab.records.codec import decode_plan
from lab.records.plan import Plan
from lab.records.variant import Driver, Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]

TESTS = Path(__file__).resolve().parents[1]
REPORTS = TESTS / "reports"
TRIES = 3  # a void run proves nothing either way

Start = Callable[[Variant], Zygote]


@pytest.fixture
def start(rig: Rig) -> Iterator[Start]:
    """A zygote for a variant, looked at as a check does before it judges."""
    with ExitStack() as stack:

        def started(variant: Variant) -> Zygote:
            zygote = stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
            return probed(zygote, rig)

        yield started


def stored(name: str) -> Plan:
    path = REPORTS / name / "plan.json"
    return decode_plan(path.read_bytes(), str(path))


def shown(plan: Plan, rig: Rig, zygote: Zygote) -> dict[str, Finding]:
    """What every promise says of one run that counts."""
    for _ in range(TRIES):
        record = run(plan, rig, zygote)
        if not record.void or any(landing.nothing for landing in record.landings):
            return {finding.promise: finding for finding in judge(record)}
    pytest.fail(f"{plan.title}: void {TRIES} times: {record.void}")


def directed(promise: str, rig: Rig, zygote: Zygote, moment: str = "") -> list[tuple[str, str, Finding]]:
    """Moment, title and finding of the directed plans of a promise that the variant itself runs."""
    asked = PROMISES.get(promise)
    plans = [
        plan
        for plan in asked.plans(zygote.variant, zygote.traits)
        if moment in plan.moment and plan.variant == zygote.variant and needs(plan) <= rig.capabilities
    ]
    return [(plan.moment, plan.title, shown(plan, rig, zygote)[promise]) for plan in plans]


def engine(folder: str, name: str, driver: Driver = "psycopg") -> Variant:
    return Variant(name=name, engine=name, driver=driver, path=(str(REPORTS / folder),))


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_command_that_loses_its_session_is_dead_for_ever(driver: Driver, rig: Rig, start: Start) -> None:
    """procrastinate #1134 and #1335, gbif-alert #287: no request signal, and every later query fails."""
    plan = stored("daemon")
    plan = msgspec.structs.replace(plan, variant=msgspec.structs.replace(plan.variant, driver=driver))
    found = shown(plan, rig, start(plan.variant))
    assert found["recovers"].verdict is Verdict.BROKEN
    assert found["replaces-stale"].verdict is Verdict.NA  # requests keep nothing here


def test_an_engine_that_hears_no_signal_is_seen_to_keep_its_session(rig: Rig, start: Start) -> None:
    zygote = start(engine("daemon", "nosignals"))
    for promise in ("reuses", "replaces-stale"):
        assert PROMISES.get(promise).not_applicable(zygote.variant, zygote.traits) == ""
    assert Verdict.BROKEN in [found.verdict for *_, found in directed("recovers", rig, zygote, "idle in request")]


def test_threads_of_an_executor_keep_their_sessions(rig: Rig, start: Start) -> None:
    """django-apscheduler #172, django-health-check #178, procrastinate #1551: from the plan, and found unaided."""
    plan = stored("executor")
    zygote = start(plan.variant)
    assert shown(plan, rig, zygote)["bounded-sessions"].verdict is Verdict.BROKEN
    found = directed("bounded-sessions", rig, zygote, "in an executor's thread")
    assert [finding.verdict for *_, finding in found] == [Verdict.BROKEN]


def test_an_error_that_is_another_statement_s(rig: Rig, start: Start) -> None:
    """psycopg #1008: COPY by execute() is refused, and the next query gets an error though nothing was struck."""
    plan = stored("copy_left")
    found = shown(plan, rig, start(plan.variant))["works-unfaulted"]
    assert (found.verdict, found.steps) == (Verdict.BROKEN, (3,))


def test_commit_was_done_and_the_application_hears_of_autocommit(rig: Rig, start: Start) -> None:
    """django-tasks-db #61: a signal handler raises while COMMIT is under way."""
    plan = stored("sigterm_commit")
    assert shown(plan, rig, start(plan.variant))["honest-error"].verdict is Verdict.BROKEN


def test_a_backend_may_have_words_of_its_own(lab: LabSession, tmp_path: Path) -> None:
    """A COMMIT that was never sent is refused in other words: no accusation.

    What leaving atomic() does after a COMMIT whose answer was lost is Django's own, which it inherits.
    """
    variants = variants_of(["ownwords"], driver="psycopg2", path=[str(REPORTS / "own_words")])
    options = Options(promises=("honest-error",), search=0.0)
    (result,) = check(variants, lab.rig(), options, Store(tmp_path))
    found = result.promises["honest-error"]
    assert (result.status, found.verdict, found.claimed) == (0, Verdict.KEPT, True), found
    assert found.limits == PROMISES.get("honest-error").of_django
    assert len(found.moments) > 5


def test_a_server_without_a_slot_is_met_however_busy_the_machine(rig: Rig, start: Start) -> None:
    """Load does not decide whether the heal comes before the attempt to connect."""
    plan = stored("busy")
    zygote = start(plan.variant)
    for _ in range(3):
        assert shown(plan, rig, zygote)["honest-error"].verdict is Verdict.KEPT


@pytest.mark.parametrize("promise", ["recovers", pytest.param("replaces-stale", marks=pytest.mark.nightly)])
def test_a_token_that_is_asked_for_once(promise: str, rig: Rig, start: Start) -> None:
    """django-iam-dbauth #29: after the password was rotated it never gets in again; Django's pool neither."""
    kept = {"CONN_MAX_AGE": None}
    tokens = msgspec.structs.replace(engine("token_once", "tokens"), settings=kept)
    pool = Variant(name="pool", driver="psycopg", options={"pool": {"min_size": 1, "max_size": 2, "timeout": 2.0}})
    for variant in (tokens, pool):
        found = directed(promise, rig, start(variant), "password rotated")
        assert Verdict.BROKEN in [finding.verdict for *_, finding in found], found


@pytest.mark.parametrize("name", ["persistent_global", "persistent_threadlocal", "django_health_checks"])
def test_settings_that_are_asked_again(name: str, rig: Rig, start: Start) -> None:
    for promise in ("recovers", "replaces-stale"):
        found = directed(promise, rig, start(rows()[name]), "password rotated")
        assert {finding.verdict for *_, finding in found} == {Verdict.KEPT}, found


def test_a_pool_that_an_engine_makes_is_judged_by_its_own_maximum(rig: Rig, start: Start) -> None:
    """It opens more sessions than there are requests, and hands them out in turn: no setting says so."""
    zygote = start(Variant(name="own pool", engine="zoo.correct_own_pool", driver="psycopg", path=(str(TESTS),)))
    assert zygote.traits.pool_max == 4
    found = [*directed("reuses", rig, zygote), *directed("bounded-sessions", rig, zygote, "threads that")]
    assert {finding.verdict for *_, finding in found} == {Verdict.KEPT}, found


def test_an_engine_may_patch_the_operating_system(rig: Rig, start: Start) -> None:
    """gunicorn #2730, gevent #1652: what a worker of greenlets puts in the place of waitpid is not the lab's."""
    variant = Variant(name="patched", engine="zoo.patches_the_system", path=(str(TESTS),))
    found = directed("works-unfaulted", rig, start(variant), "plain requests")
    assert {finding.verdict for *_, finding in found} == {Verdict.KEPT}
