"""The promises about sessions, proven on backends that are broken on purpose, and on one that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from _pytest.mark.structures import ParameterSet

from lab.check.check import Options, check
from lab.fault import needs
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.plan import Fork, Plan
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
BOUND = 4.0  # seconds
NINE = (
    *("alias-separate", "bounded-sessions", "clean-session", "fork-safe", "initialised", "keeps-healthy"),
    *("paced-reconnects", "steady-session", "writable"),
)


class Broken(NamedTuple):
    """A backend of the zoo, the promise that it breaks, and a moment whose plans must show it."""

    name: str
    promise: str
    moment: str


BROKEN = (
    Broken("forgets_to_fork", "fork-safe", "between requests, then os._exit"),
    Broken("forgets_to_fork", "fork-safe", "preload, the master rests, normal"),
    Broken("forks_default_alias_only", "fork-safe", "between requests, then normal"),
    Broken("forks_default_alias_only", "fork-safe", "inside a request, then normal"),
    Broken("child_says_goodbye", "fork-safe", "preload, the master rests, os._exit"),
    Broken("child_says_goodbye", "fork-safe", "two children"),
    Broken("forgets_to_fork_twice", "fork-safe", "a child that forks"),
    Broken("shares_aliases", "alias-separate", "another database, in turn"),
    Broken("shares_aliases", "alias-separate", "the same database, in turn"),
    Broken("fault_closes_all_aliases", "alias-separate", "another database, a fault on one"),
    Broken("resets_settings_only", "clean-session", "role"),
    Broken("resets_settings_only", "clean-session", "temp table"),
    Broken("resets_settings_only", "clean-session", "advisory lock"),
    Broken("resets_settings_only", "clean-session", "LISTEN"),
    Broken("resets_settings_only", "clean-session", "prepared statement"),
    Broken("resets_default_alias_only", "clean-session", "SET"),
    Broken("keeps_held_cursors", "clean-session", "cursor WITH HOLD"),
    Broken("resets_after_success_only", "clean-session", "all of it, then an error"),
    Broken("kin_keeps_marks", "clean-session", "all of it, then an error"),
    Broken("child_keeps_savepoints", "clean-session", "all of it, in atomic()"),
    Broken("resets_by_text", "clean-session", "set_config()"),
    Broken("forgets_driver_object", "clean-session", "the driver's connection: transactions"),
    Broken("forgets_driver_object", "clean-session", "the driver's connection: rows and handlers"),
    Broken("keeps_hooks", "clean-session", "Django's wrapper: a block never left"),
    Broken("resets_between_statements", "steady-session", "SET"),
    Broken("resets_between_statements", "steady-session", "advisory lock"),
    Broken("changes_session_after_atomic", "steady-session", "after atomic()"),
    Broken("initialises_once", "initialised", "time zone, isolation level, replaced session"),
    Broken("initialises_once", "initialised", "custom init, replaced session"),
    Broken("forgets_after_commit", "initialised", "custom init, replaced session"),
    Broken("sets_up_two_sessions", "initialised", "role, replaced session"),
    Broken("sets_up_two_sessions", "initialised", "custom init, replaced session"),
    Broken("resets_setup_after_error", "initialised", "custom init, after a statement's error"),
    Broken("sets_up_once_per_request", "initialised", "custom init, after close()"),
    Broken("replaces_without_options", "initialised", "server options, replaced session"),
    Broken("keeps_what_failed_to_set_up", "initialised", "custom init, once it has failed"),
    Broken("asks_for_less_when_refused", "initialised", "server options, replaced session"),
    Broken("leaks_half_made", "bounded-sessions", "set-up fails"),
    Broken("keeps_old_database", "alias-separate", "a test database"),
    Broken("locks_all_aliases", "alias-separate", "another database, a fault on one"),
    Broken("keyed_by_address", "alias-separate", "another database, one request"),
    Broken("keyed_by_parameters", "alias-separate", "the same settings, at once"),
    Broken("keyed_without_options", "alias-separate", "the same user, other OPTIONS"),
    Broken("main_thread_initialises", "initialised", "time zone, isolation level, second thread"),
    Broken("leaks_replaced", "bounded-sessions", "a statement's error"),
    Broken("keyed_by_thread", "bounded-sessions", "threads that end, between requests"),
    Broken("gives_up_last_alias", "bounded-sessions", "threads that end, in a request"),
    Broken("helper_holds_sessions", "bounded-sessions", "a process killed, between requests"),
    Broken("helper_holds_sessions", "bounded-sessions", "a process told to exit"),
    Broken("tells_server_not_to_look", "bounded-sessions", "a process killed, the server looks for it"),
    Broken("connects_in_a_storm", "paced-reconnects", "ended at once, from the start"),
    Broken("connects_in_a_storm", "paced-reconnects", "password refused, several requests"),
    Broken("connects_in_a_storm", "paced-reconnects", "no connection slot, from the start"),
    Broken("storms_at_a_closed_port", "paced-reconnects", "nothing listens, from the start"),
    Broken("storms_until_healed", "paced-reconnects", "nothing listens, from the start"),
    Broken("storms_at_a_closed_port", "paced-reconnects", "nothing listens, with a kept session"),
    Broken("checks_in_a_storm", "paced-reconnects", "every check fails, with a kept session"),
    Broken("stays_with_the_old_primary", "writable", "autocommit"),
    Broken("stays_with_the_old_primary", "writable", "in atomic()"),
    Broken("errors_cost_sessions", "keeps-healthy", "unique, autocommit"),
    Broken("cancels_cost_sessions", "keeps-healthy", "statement_timeout, AUTOCOMMIT=False"),
    Broken("commit_errors_cost_sessions", "keeps-healthy", "unique, at COMMIT"),
)

LONG = ("storms_until_healed", "sets_up_two_sessions", "forks_default_alias_only")
"""They take more than two seconds on a machine that does nothing else."""

Judge = Callable[[Variant, str, str], list[tuple[Plan, Finding]]]


@pytest.fixture
def judged(rig: Rig) -> Iterator[Judge]:
    """Run the directed plans of a promise, at one moment or at all, and judge them by it."""
    with ExitStack() as stack:
        zygotes: dict[bytes, Zygote] = {}

        def zygote(variant: Variant) -> Zygote:
            key = msgspec.json.encode(variant)
            if key not in zygotes:
                zygotes[key] = stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
            return zygotes[key]

        def judged(variant: Variant, promise: str, moment: str) -> list[tuple[Plan, Finding]]:
            asked = PROMISES.get(promise)
            found = []
            for plan in asked.plans(variant, zygote(variant).traits):
                if moment in ("", plan.moment) and needs(plan) <= rig.capabilities:
                    bounded = msgspec.structs.replace(plan, bound=BOUND)
                    found.append((plan, judge(run(bounded, rig, zygote(plan.variant)), [asked])[0]))
            return found

        yield judged


def _variant(name: str) -> Variant:
    return Variant(name=name, engine=f"zoo.{name}", path=(str(TESTS),), keeps=True)


def _row(broken: Broken) -> ParameterSet:
    marks = [pytest.mark.nightly] if broken.name in LONG else []
    return pytest.param(broken, id=f"{broken.name}, {broken.moment}", marks=marks)


@pytest.mark.parametrize("broken", [_row(broken) for broken in BROKEN])
def test_broken_backend_is_caught(broken: Broken, judged: Judge) -> None:
    findings = judged(_variant(broken.name), broken.promise, broken.moment)
    assert Verdict.BROKEN in [finding.verdict for _, finding in findings], findings


@pytest.mark.slow
@pytest.mark.parametrize("promise", NINE)
def test_careful_backend_is_not_accused(promise: str, judged: Judge) -> None:
    findings = judged(_variant("correct_careful"), promise, "")
    accused = [
        f"{plan.moment} ({plan.title}): {found}"
        for plan, found in findings
        # A thread of which it never hears again keeps its session; some state of a wrapper is never undone in Django.
        if found.verdict != Verdict.KEPT
        and (promise, plan.moment) != ("bounded-sessions", "in an executor's thread")
        and plan.moment not in PROMISES.get(promise).of_django
    ]
    assert not accused


@pytest.mark.parametrize(
    ("name", "moment", "sentence"),
    [
        ("tells_server_not_to_look", "a process killed, the server looks for it", "1 session is still open after"),
        ("helper_holds_sessions", "a process told to exit", "1 session is still open after"),
        ("correct_careful", "a process killed, the server looks for it", ""),
        ("correct_careful", "a process killed, between requests", ""),
        ("correct_careful", "a process told to exit", ""),
    ],
)
def test_what_outlives_the_first_process(name: str, moment: str, sentence: str, judged: Judge) -> None:
    findings = judged(_variant(name), "bounded-sessions", moment)
    first = [finding for plan, finding in findings if not any(isinstance(step, Fork) for step in plan.steps)]
    assert first
    for finding in first:
        assert finding.verdict is (Verdict.BROKEN if sentence else Verdict.KEPT), finding
        assert sentence in finding.summary


def test_a_session_that_its_own_process_closes_is_not_laid_to_a_child(judged: Judge) -> None:
    """A thread of the parent's closes what is idle, while children come and go."""
    findings = judged(_variant("correct_closes_soon"), "fork-safe", "a child that forks")
    assert {finding.verdict for _, finding in findings} == {Verdict.KEPT}, findings


@pytest.mark.parametrize("moment", ["two children", "in a task, closed after"])
def test_a_session_that_a_child_opens_as_it_comes_to_be_is_its_own(moment: str, judged: Judge) -> None:
    findings = judged(_variant("correct_warms_children"), "fork-safe", moment)
    assert {finding.verdict for _, finding in findings} == {Verdict.KEPT}, findings


def test_a_thread_that_ends_a_while_after_its_session_is_not_left_behind(judged: Judge) -> None:
    ((_, finding),) = judged(_variant("correct_heartbeats"), "bounded-sessions", "threads beside sessions")
    assert finding.verdict is Verdict.KEPT, finding


@pytest.mark.nightly
def test_an_engine_is_judged_under_settings_that_the_lab_adds(rig: Rig, tmp_path: Path) -> None:
    """It has none of its own that they could differ from; it is broken with a time zone, a role or a set-up alone."""
    variant = _variant("main_thread_initialises")
    (result,) = check([variant], rig, Options(promises=("initialised",), search=0.0), Store(tmp_path))
    told = result.promises["initialised"]
    assert (told.verdict, told.claimed, result.status) == (Verdict.BROKEN, True, 1)
    assert not told.added


def test_forked_processes_end_with_their_plan(rig: Rig) -> None:
    """Also those that hang: their parent's end, or the plan's, is theirs."""
    import psutil  # noqa: PLC0415

    from lab.records.plan import Begin, Enter, Fork, Write  # noqa: PLC0415

    steps = (Begin("t0"), Enter("t0"), Write("t0"), Fork("t0"), Fork("t0", "c1"), Begin("c1.t0"))
    with closing(Zygote(Variant(name="forks"), rig.folder, rig.environ())) as zygote:
        record = run(Plan(variant=zygote.variant, steps=steps), rig, zygote)
        forked = [op.value["pid"] for op in record.ops if op.f == "fork" and op.type == "ok"]
        assert len(forked) == 2
        assert not any(psutil.pid_exists(pid) for pid in forked)
