"""What changed: between two checks, by today's judges, when every finding is run again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lab.check.difference import difference
from lab.check.rejudge import Rejudging
from lab.check.replay_all import Again, AllAgain, Stored, distinct
from lab.judging.judge import judge
from lab.records.plan import Begin, End, Plan
from lab.records.result import PromiseResult, Result, VariantInfo
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from unit.stored import told

K, B, U, N = Verdict.KEPT, Verdict.BROKEN, Verdict.UNKNOWN, Verdict.NA


def result(moments: Mapping[str, Verdict], verdict: Verdict, name: str = "mine", **versions: str) -> Result:
    promise = PromiseResult(verdict=verdict, claimed=True, moments=dict(moments))
    return Result(
        verdict=verdict,
        variant=VariantInfo(name=name, engine="e", driver="psycopg2"),
        versions=versions,
        seed=0,
        seconds=1.0,
        cases=1,
        void=0,
        promises={"alpha": promise},
    )


@pytest.mark.parametrize(
    ("old", "new", "kind", "status"),
    [
        (K, B, "new", 1),
        (U, B, "new", 1),
        (N, B, "new", 1),
        (B, K, "fixed", 0),
        (K, U, "look", 2),
        (B, U, "look", 2),
        (U, K, "other", 0),
        (K, N, "other", 0),
    ],
)
def test_each_change_has_a_kind_and_what_is_worse_a_status(old: Verdict, new: Verdict, kind: str, status: int) -> None:
    for moments in (({"idle": old}, {"idle": new}), ({}, {})):
        found = difference([result(moments[0], old)], [result(moments[1], new)])
        assert [change.kind for change in found.changes] == [kind]
        assert found.status == status


def test_equal_checks_differ_in_nothing() -> None:
    same = result({"idle": B}, B, django="5.2")
    found = difference([same], [same])
    assert (found.changes, found.versions, found.status) == ((), (), 0)


def test_moment_that_only_one_looked_at_is_no_change() -> None:
    found = difference([result({"idle": B, "busy": B}, B)], [result({"idle": B}, B)])
    assert found.changes == ()


def test_moment_that_became_worse_counts_though_the_promise_was_broken_before() -> None:
    found = difference([result({"idle": B, "busy": K}, B)], [result({"idle": B, "busy": B}, B)])
    assert [(change.moment, change.kind) for change in found.changes] == [("busy", "new")]


def test_worst_comes_first_and_versions_and_variants_are_named() -> None:
    old = [result({"a": B, "b": K, "c": K}, B, django="5.1", python="3.12"), result({}, K, "gone")]
    new = [result({"a": K, "b": U, "c": B}, B, django="5.2", python="3.12"), result({}, K, "come")]
    found = difference(old, new)
    assert [change.kind for change in found.changes] == ["new", "look", "fixed"]
    assert found.versions == (("mine", "django", "5.1", "5.2"),)
    assert (found.only_old, found.only_new) == (("gone",), ("come",))


def test_rejudging_tells_what_differs_what_is_added_and_leaves_out_what_was_flaky() -> None:
    record = told()
    now = {finding.promise: finding for finding in judge(record)}
    assert now["recovers"].verdict is Verdict.BROKEN
    same, none = Rejudging(), Rejudging()
    same.take("x", record, now.values())
    assert (same.runs, same.changes, same.status) == (1, [], 0)
    before = [Finding(promise="recovers", verdict=K), Finding(promise="atomic", verdict=now["atomic"].verdict)]
    other = Rejudging()
    other.take("x", record, before)
    assert [(change.promise, change.old, change.new) for change in other.changes] == [("recovers", K, B)]
    assert other.status == 1
    assert other.added["durable"] == 1
    none.take("x", record, before, ["recovers"])
    assert none.changes == []


def stored(expect: dict[str, str], claims: tuple[str, ...] = ("alpha",), where: str = "here") -> Stored:
    variant = Variant(name="mine", claims=claims)
    return Stored(where, Plan(variant=variant, steps=(Begin("t0"), End("t0")), expect=expect))


def test_equal_plans_are_run_once_and_those_that_broke_nothing_not_at_all() -> None:
    found = distinct(
        [
            stored({"alpha": "broken"}, where="first"),
            stored({"alpha": "broken", "beta": "kept"}, where="second"),
            stored({"alpha": "kept"}),
            stored({"beta": "broken"}, where="third"),
        ]
    )
    assert [each.where for each in found] == ["first", "third"]


@pytest.mark.parametrize(
    ("runs", "all_of_it", "some_of_it", "fate", "status"),
    [
        (0, 0, 0, "unknown", 2),
        (3, 0, 0, "fixed", 0),
        (3, 3, 3, "still", 1),
        (3, 1, 1, "flaky", 1),
        (3, 0, 3, "flaky", 1),
    ],
)
def test_fate_of_a_finding(runs: int, all_of_it: int, some_of_it: int, fate: str, status: int) -> None:
    again = Again(stored({"alpha": "broken"}), runs=runs, all_of_it=all_of_it, some_of_it=some_of_it)
    assert (again.fate, AllAgain([again]).status) == (fate, status)


def test_limits_cost_no_status() -> None:
    again = Again(stored({"beta": "broken"}), runs=1, all_of_it=1, some_of_it=1)
    assert (again.fate, AllAgain([again]).status) == ("still", 0)
