"""What is chosen among changes, what each change lays on, and how an advice is told."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from lab.advice.change import CHANGES, Change, Now, laid_on
from lab.advice.changes.pool_reset import RESET
from lab.advice.choose import covers, smallest
from lab.promise import PROMISES
from lab.records.advice import Advice, Advised, Cost, Mended, PromiseAdvice
from lab.records.variant import Traits, Variant
from lab.records.verdict import Verdict
from lab.report.advice import diff, print_advice, sentence

A, B, C = frozenset({"a"}), frozenset({"b"}), frozenset({"c"})


def price(name: str) -> int:
    return {"c": 5}.get(name, 1)


@pytest.mark.parametrize(
    ("mends", "expected"),
    [
        ({A: {0, 1}, B: {2}}, {"a", "b"}),
        ({A: {0, 1}, B: {1, 2}, C: {0, 1, 2}}, {"a", "b"}),  # two cheap ones before a dear one
        ({A: {0}, C: {0, 1, 2}}, {"c"}),  # what a dear one mends, it is needed for
        ({A: {0}, B: set(), A | B: {0, 1, 2}}, {"a", "b"}),  # a pair that mends what neither does
        ({A: {0, 1, 2}, B: {0, 1, 2}}, {"a"}),
        ({A: set()}, set()),
    ],
)
def test_the_smallest_set_that_mends_the_most(mends: dict[frozenset[str], set[int]], expected: set[str]) -> None:
    seen = {ids: frozenset(places) for ids, places in mends.items()}
    assert smallest(range(3), seen, price) == expected
    assert covers(frozenset({"a", "b", "c"}), seen) == frozenset().union(*seen.values())


@pytest.mark.parametrize("change", CHANGES.values(), ids=lambda change: change.id)
def test_each_change_says_what_it_does_costs_and_where_that_stands(change: Change) -> None:
    assert change.does.endswith(".")
    assert change.costs
    assert change.source.startswith(
        ("https://docs.djangoproject.com/", "https://www.postg", "https://www.psycopg.org/")
    )
    assert set(change.promises) <= set(PROMISES)


KEPT = {"CONN_MAX_AGE": None}
GIVEN: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any] | None]] = [
    ("health-checks", KEPT, {}, {"CONN_HEALTH_CHECKS": True}),
    ("health-checks", {"CONN_MAX_AGE": 0}, {}, None),  # nothing is kept, nothing is to be checked
    ("health-checks", {**KEPT, "CONN_HEALTH_CHECKS": True}, {}, None),
    ("no-kept-connection", KEPT, {}, {"CONN_MAX_AGE": 0}),
    ("no-kept-connection", {}, {"pool": True}, None),
    ("no-pool", {}, {"pool": {"max_size": 2}}, {"pool": None}),
    ("pool-timeout", {}, {"pool": True}, {"pool": {"timeout": 5}}),
    ("pool-timeout", {}, {"pool": {"max_size": 2}}, {"pool": {"max_size": 2, "timeout": 5}}),
    ("pool-timeout", {}, {"pool": {"reconnect_failed": "shop.lost"}}, None),  # a callable, told as a text
    ("pool-reset", {}, {"pool": {"max_size": 2}}, {"pool": {"max_size": 2, "reset": RESET}}),
    ("pool-reset", {}, {"pool": {"reset": "shop.reset"}}, None),
    ("pool-timeout", {}, {"pool": {"reset": RESET}}, {"pool": {"reset": RESET, "timeout": 5}}),
    ("connect-timeout", {}, {"connect_timeout": 9}, None),
    ("client-check", {}, {"options": "-c a=b"}, {"options": "-c a=b -c client_connection_check_interval=1000"}),
    ("client-check", {}, {"options": "-c password=***"}, None),  # a secret that was masked cannot be laid on again
    ("idle-in-transaction", KEPT, {}, {"options": "-c idle_in_transaction_session_timeout=60000"}),
]


@pytest.mark.parametrize(("name", "settings", "options", "expected"), GIVEN)
def test_a_change_lays_on_what_is_not_there_yet(
    name: str, settings: dict[str, Any], options: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    traits = Traits(settings={**settings, "OPTIONS": options})
    laid = laid_on([name], Variant(name="shop", module="shop.settings"), traits, proof=False)
    assert (None if laid is None else {**laid.settings, **laid.options}) == expected


def test_changes_of_one_text_are_laid_on_together_and_a_proof_is_short() -> None:
    traits = Traits(settings={**KEPT, "OPTIONS": {}})
    laid = laid_on(["idle-in-transaction", "client-check"], Variant(name="shop"), traits, proof=True)
    assert laid is not None
    both = "-c client_connection_check_interval=1000 -c idle_in_transaction_session_timeout=200"
    assert laid.options == {"options": both}


def test_no_change_is_laid_on_a_database_that_has_it() -> None:
    """Laid on twice, a change would be advised for ever."""
    for change in CHANGES.values():
        for settings, options in (({"CONN_MAX_AGE": 60}, {}), ({}, {"pool": True})):
            now = Now(settings, options, "psycopg", Traits())
            laid = change.lay(now, proof=False)
            if laid is None:
                continue
            traits = Traits(atomic_requests="ATOMIC_REQUESTS" in laid.settings)
            then = Now({**settings, **laid.settings}, {**options, **laid.options}, "psycopg", traits)
            assert change.lay(then, proof=False) is None, change.id


def advice(**moments: Mended) -> Advice:
    return Advice(
        variant="shop",
        engine="django.db.backends.postgresql",
        alias="default",
        before={"CONN_MAX_AGE": 60, "OPTIONS": {"connect_timeout": 3}},
        after={"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "OPTIONS": {"connect_timeout": 3}},
        promises={
            name.replace("_", "-"): PromiseAdvice(claimed=True, moments=(each,)) for name, each in moments.items()
        },
        tried=(Advised(id="health-checks", does="Checks.", costs="a query", source="https://docs"),),
        changes=("health-checks",),
    )


MENDED = Mended(
    moment="FIN",
    plan="store/plan.json",
    after=Verdict.KEPT,
    runs="2 of 2 runs",
    proof=("--setting 'CONN_HEALTH_CHECKS=true'",),
    changes=("health-checks",),
)
LEFT = Mended(moment="COMMIT", plan="store/other.json", after=Verdict.BROKEN, backends=("own.engine",))


def test_an_advice_is_told_as_a_diff_with_before_and_after() -> None:
    told = advice(replaces_stale=MENDED, bounded_wait=LEFT)
    out = Console(file=io.StringIO(), width=120)
    print_advice(out, told)
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert '+        "CONN_HEALTH_CHECKS": True,' in text
    assert '         "CONN_MAX_AGE": 60,' in text
    assert "lab replay store/plan.json --setting 'CONN_HEALTH_CHECKS=true'" in text
    assert "no setting of Django keeps bounded-wait at COMMIT; own.engine keeps 1 of these 1" in text
    assert told.status == 1
    assert advice(replaces_stale=MENDED).status == 0


def test_a_function_is_told_before_the_settings_that_name_it() -> None:
    pool = {"max_size": 2}
    change = CHANGES.get("pool-reset")
    told = msgspec.structs.replace(
        advice(clean_session=MENDED),
        before={"OPTIONS": {"pool": pool}},
        after={"OPTIONS": {"pool": {**pool, "reset": RESET}}},
        tried=(Advised(id="pool-reset", does=".", costs="", source="", code=change.code),),
        changes=("pool-reset",),
    )
    out = Console(file=io.StringIO(), width=120)
    print_advice(out, told)
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert text.index("+def reset_session(connection") < text.index('"reset": reset_session}')
    compile(change.code, "settings.py", "exec")
    assert 'connections["default"]' in change.code


def test_an_advice_without_an_answer_says_so() -> None:
    nothing = msgspec.structs.replace(advice(bounded_wait=LEFT), changes=())
    assert "no setting that was tried mends any of the 1 broken moments" in sentence(nothing)
    assert "nothing is broken" in sentence(msgspec.structs.replace(nothing, promises={}))
    assert diff(msgspec.structs.replace(nothing, after=nothing.before)) == []


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (0.4, 0.9, "measured: 1.00 -> 1.60 ms"),
        (-0.2, 0.9, "measured: no difference that stands out of the noise, -0.20 to +0.90 ms"),
    ],
)
def test_noise_is_told_as_noise(least: float, most: float, said: str) -> None:
    cost = Cost(before=1.0, after=1.6, least=least, most=most, requests=75)
    out = Console(file=io.StringIO(), width=120)
    print_advice(out, msgspec.structs.replace(advice(replaces_stale=MENDED), cost=cost))
    assert isinstance(out.file, io.StringIO)
    assert said in out.file.getvalue()
