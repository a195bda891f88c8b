from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.database import InMemoryExampleDatabase

from lab.errors import UnknownName
from lab.explore import search as module
from lab.explore.profiles import PROFILES, profile
from lab.explore.search import BrokenPromise, Searched, broken_type, search
from lab.promise import Promise
from lab.records.codec import encode
from lab.records.plan import Inject, Plan, Write
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.verdict import Finding

VARIANT = Variant(name="any")


def promise(name: str, breaks: Callable[[Plan], Any]) -> Promise:
    class Asked(Promise):
        id = name
        sentence = "It holds."

        def plans(self, variant: Any, traits: Any) -> Any:
            raise NotImplementedError

        def judge(self, record: Record) -> Finding:
            return self.broken("it does not hold") if breaks(record.plan) else self.kept()

    return Asked()


NO_FAULTS = promise("no-faults", lambda plan: plan.faults())
NO_WRITES = promise("no-writes", lambda plan: any(isinstance(step, Write) for step in plan.steps))
HOLDS = promise("holds", lambda _: False)


class Runs:
    """Stands for lab.run.run: nothing is run, the plan is its own record."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.void: Callable[[Plan], bool] = lambda _: False

    def __call__(self, plan: Plan, rig: Any, zygote: Any) -> Record:
        self.plans.append(plan)
        return Record(plan=plan, run="r", void="it was not seen to land" if self.void(plan) else "")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    fake = Runs()
    monkeypatch.setattr(module, "run", fake)
    monkeypatch.setattr(module, "_to_blame", list)
    return fake


def hunt(*promises: Promise, seed: int = 1, max_examples: int = 100, **options: Any) -> Searched:
    rig: Any = SimpleNamespace(capabilities=frozenset({"proxy", "terminate"}))
    zygote: Any = SimpleNamespace(traits=Record(plan=Plan(variant=VARIANT, steps=()), run="").traits)
    return search(VARIANT, rig, zygote, seed=seed, max_examples=max_examples, promises=promises, **options)


def test_each_promise_is_shrunk_on_its_own(runs: Runs) -> None:
    found = {each.promise: each for each in hunt(NO_FAULTS, NO_WRITES)}
    assert [type(step).__name__ for step in found["no-writes"].plan.steps] == ["Write"]
    assert any(isinstance(step, Inject) for step in found["no-faults"].plan.steps)
    assert len(found["no-faults"].plan.steps) == 2


def test_what_is_found_replays_and_says_what_it_shows(runs: Runs) -> None:
    (found,) = hunt(NO_WRITES, seed=9)
    assert found.plan.expect == {"no-writes": "broken"}
    assert (found.plan.source, found.plan.seed, found.plan.promise) == ("random", 9, "no-writes")
    assert (found.agreed, found.replays) == (3, 3)
    assert found.record.plan == found.plan
    assert found.finding.summary == "it does not hold"


def test_nothing_is_found_where_everything_holds(runs: Runs) -> None:
    searched = hunt(HOLDS)
    assert not searched.found
    assert searched.cases == len(runs.plans) > 20
    assert not searched.spent


def test_excluded_promise_does_not_stop_the_search(runs: Runs) -> None:
    assert [each.promise for each in hunt(NO_WRITES, NO_FAULTS, exclude=["no-writes"])] == ["no-faults"]


def test_search_ends_after_as_many_as_asked(runs: Runs) -> None:
    assert len(hunt(NO_WRITES, NO_FAULTS, most=1)) == 1


def test_equal_seeds_draw_equal_plans(runs: Runs) -> None:
    hunt(NO_FAULTS, NO_WRITES, seed=3)
    first, runs.plans = runs.plans, []
    hunt(NO_FAULTS, NO_WRITES, seed=3)
    assert runs.plans == first
    runs.plans = []
    hunt(NO_FAULTS, NO_WRITES, seed=4)
    assert runs.plans != first


def test_plan_is_run_once_for_all_promises(runs: Runs) -> None:
    hunt(HOLDS, promise("holds-too", lambda _: False))
    steps = [encode((plan.steps, plan.lifecycles)) for plan in runs.plans]
    assert len(set(steps)) == len(steps)


def test_void_cases_are_counted_and_prove_nothing(runs: Runs) -> None:
    runs.void = lambda plan: bool(plan.faults())
    searched = hunt(NO_FAULTS)
    assert not searched.found
    assert searched.void > 0


def test_what_breaks_once_only_is_no_finding(runs: Runs) -> None:
    noise = itertools.cycle([True, False])
    searched = hunt(promise("noisy", lambda _: next(noise)), max_examples=20)
    assert not searched.found
    assert searched.unsteady > 0


def test_every_case_is_told(runs: Runs) -> None:
    told: list[Record] = []
    searched = hunt(HOLDS, on_case=lambda record, _: told.append(record))
    assert len(told) == searched.cases


def test_budget_is_kept_and_what_was_found_reported(runs: Runs) -> None:
    def slow(plan: Plan) -> bool:
        time.sleep(0.005)
        return False

    runs.void = slow
    begun = time.monotonic()
    searched = hunt(NO_WRITES, max_examples=100_000, budget_seconds=2.0)
    assert time.monotonic() - begun < 10.0
    assert searched.spent
    assert [each.promise for each in searched] == ["no-writes"]


def test_examples_are_kept_between_searches(runs: Runs) -> None:
    database = InMemoryExampleDatabase()
    hunt(NO_FAULTS, database=database)
    runs.plans = []
    hunt(NO_FAULTS, database=database, seed=77)
    assert any(isinstance(step, Inject) for step in runs.plans[0].steps)


def test_example_of_a_search_that_ran_out_of_time_is_shrunk_by_the_next(runs: Runs) -> None:
    database = InMemoryExampleDatabase()
    hunt(NO_FAULTS, database=database, seed=2)
    (key,) = [key for key in database.data if database.data[key] and not key.endswith(b".secondary")]
    longest = max(database.data[key.removesuffix(b".secondary") + b".secondary"], key=len)
    database.data[key] = {longest}
    (found,) = hunt(NO_FAULTS, database=database, seed=77)
    assert len(found.plan.steps) == 2


def test_each_promise_has_an_exception_type_of_its_own() -> None:
    assert broken_type("replaces-stale") is broken_type("replaces-stale")
    assert broken_type("replaces-stale").__name__ == "ReplacesStaleBroken"
    assert issubclass(broken_type("recovers"), BrokenPromise)
    assert broken_type("recovers") is not broken_type("atomic")


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_ours_and_random(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = profile(name).settings()
    assert settings.get_profile(f"lab-{name}") is made
    assert not made.derandomize
    assert made.deadline is None
    assert str(tmp_path) in repr(made.database)


def test_profile_is_ci_where_ci_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_PROFILE", raising=False)
    monkeypatch.setenv("CI", "true")
    assert profile().name == "ci"
    monkeypatch.delenv("CI")
    assert profile().name == "dev"
    monkeypatch.setenv("LAB_PROFILE", "nightly")
    assert profile().name == "nightly"
    with pytest.raises(UnknownName, match="known: dev, ci, nightly"):
        profile("weekly")
