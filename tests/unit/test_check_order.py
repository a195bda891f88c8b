"""In which order a check begins its plans, and what becomes of one whose zygote is starting yet."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lab.check.cases import Case, Gathered
from lab.check.check import Options, _Check, _VariantPart, no_second
from lab.check.lanes import run_in_lanes
from lab.check.progress import Silent
from lab.check.subjects import Later
from lab.check.trial import Entry, Trials
from lab.errors import EngineUnusable
from lab.records.plan import Begin, End, Plan
from lab.records.variant import Traits, Variant
from lab.store import Store
from lab.subject.handle import Zygote

OWN, CHANGED = Variant(name="v"), Variant(name="v", settings={"AUTOCOMMIT": False})
RIG: Any = SimpleNamespace(log=None)


def case(number: int, promise: str, variant: Variant = OWN) -> Case:
    plan = Plan(variant=variant, steps=(Begin("t0"), End("t0")))
    return Case(number, plan, ((promise, "idle"),))


def entry(store: Store, *others: Later) -> Entry:
    zygote: Any = SimpleNamespace(variant=OWN, secrets=(), traits=Traits())
    return Entry(OWN, zygote, store.open("v", 0), (), others)


def order(store: Store, *cases: Case) -> list[int]:
    part = _VariantPart(entry(store), Gathered(cases))
    jobs = _Check([part], RIG, no_second, Options(), store, Silent())._jobs()
    return [case.number for _, case in jobs]


def test_promises_take_turns(tmp_path: Path) -> None:
    cases = [case(1, "alpha"), case(2, "alpha"), case(3, "alpha"), case(4, "beta"), case(5, "beta")]
    assert order(Store(tmp_path), *cases) == [1, 4, 2, 5, 3]


def test_plans_whose_zygote_is_starting_yet_let_others_go_first(tmp_path: Path) -> None:
    starting: Future[Zygote] = Future()
    waiting = entry(Store(tmp_path), Later(CHANGED, lambda: starting))
    assert waiting.ready(case(2, "beta"))
    assert not waiting.ready(case(1, "alpha", CHANGED))
    done: list[int] = []

    def work(each: Case) -> None:
        done.append(each.number)
        if each.number == 2:
            starting.set_result(zygote)

    zygote: Any = SimpleNamespace()
    cases = [case(1, "alpha", CHANGED), case(2, "beta"), case(3, "beta")]
    run_in_lanes(cases, lambda _: "alone", work, lambda: None, ready=waiting.ready)
    assert done == [2, 1, 3]


def test_one_that_is_not_ready_is_taken_when_no_other_is_left() -> None:
    done: list[int] = []
    run_in_lanes([1, 2], lambda _: "narrow", done.append, lambda: None, ready=lambda each: each == 2)
    assert sorted(done) == [1, 2]


def test_what_stock_django_is_known_to_break_comes_first(tmp_path: Path) -> None:
    """Of the same settings, then of any; the promises take turns all the same."""

    def at(number: int, promise: str, moment: str) -> Case:
        return Case(number, Plan(variant=OWN, steps=(Begin("t0"), End("t0"))), ((promise, moment),))

    cases = [
        at(1, "hooks-once", "no moment of a known limit"),
        at(2, "hooks-once", "statement error swallowed"),
        at(3, "initialised", "no moment of a known limit"),
        at(4, "initialised", "role, after a rollback"),  # a pool's limit
        at(5, "initialised", "a savepoint rolled back"),  # a limit without kept connections, as here
    ]
    assert order(Store(tmp_path), *cases) == [2, 5, 1, 4, 3]


def test_one_whose_zygote_cannot_start_ends_the_check(tmp_path: Path) -> None:
    future: Future[Zygote] = Future()
    future.set_exception(EngineUnusable("ENGINE none does not import", "check the name"))
    changed = case(1, "alpha", CHANGED)
    with pytest.raises(EngineUnusable, match="does not import"):
        Trials(RIG).trial(changed, entry(Store(tmp_path), Later(CHANGED, lambda: future)))


def test_one_that_no_plan_needs_any_more_is_not_started(tmp_path: Path) -> None:
    def begin() -> Future[Zygote]:
        raise AssertionError("it was started")

    known = replace(entry(Store(tmp_path), Later(CHANGED, begin)), brief=True)
    known.confirmed.add(("alpha", "idle"))
    assert known.ready(case(1, "alpha", CHANGED))


def test_one_that_has_not_begun_to_start_never_does_after_an_abort() -> None:
    begun: list[bool] = []
    future: Future[Zygote] = Future()

    def begin() -> Future[Zygote]:
        begun.append(True)
        return future

    never = Later(CHANGED, begin)
    never.abort()
    assert never.ready()
    queued = Later(CHANGED, begin)
    assert not queued.ready()
    queued.abort()
    assert (begun, future.cancelled()) == ([True], True)


def test_one_that_has_started_is_closed_by_an_abort() -> None:
    closed: list[bool] = []
    zygote: Any = SimpleNamespace(close=lambda: closed.append(True))
    future: Future[Zygote] = Future()
    future.set_result(zygote)
    started = Later(msgspec.structs.replace(CHANGED), lambda: future)
    assert started.ready()
    started.abort()
    assert closed == [True]
