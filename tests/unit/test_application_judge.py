"""Each rule of the judge on a record written by hand: bad ones are broken, right ones are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.application.case import Answer, CutCase, Rows, shown
from lab.application.judge import judge

CLEAN = {"shop_order": Rows(new=1), "shop_product": Rows(new=1, gone=1)}
ERROR = Answer(status=500, error="OperationalError: gone")
SERVED = Answer(status=201)
CASE = CutCase(address="c1:ready:4+0 fin", landed=True, committed=False, answer=ERROR, clean=CLEAN, rows={})


def kind(case: CutCase, *, atomic: bool = False) -> str:
    return judge(case, atomic=atomic).kind


def reason(case: CutCase, *, atomic: bool = False) -> str:
    verdict = judge(case, atomic=atomic)
    assert verdict.kind == "broken"
    return verdict.reason


def test_cut_that_did_not_land_is_void_whatever_else_was_seen() -> None:
    assert kind(replace(CASE, landed=False, invariant="wrong", left_open=1)) == "void"


def test_error_with_nothing_done_is_right() -> None:
    assert kind(CASE) == "nothing done"


def test_answer_with_all_rows_is_served() -> None:
    assert kind(replace(CASE, answer=SERVED, rows=CLEAN)) == "served"


def test_error_though_all_is_done_is_in_doubt_and_never_broken() -> None:
    assert kind(replace(CASE, rows=CLEAN, committed=True)) == "in doubt"


def test_half_done_is_a_note_unless_it_was_to_be_atomic() -> None:
    half = replace(CASE, rows={"shop_product": Rows(new=1, gone=1)})
    assert kind(half) == "half done"
    assert reason(half, atomic=True).startswith("half done: ")


@pytest.mark.parametrize("answer", [SERVED, Answer(), Answer(status=302)])
def test_success_without_effect(answer: Answer) -> None:
    assert "success without effect" in reason(replace(CASE, answer=answer))
    half = {"shop_product": Rows(new=1, gone=1)}
    assert "success with half of its effect" in reason(replace(CASE, answer=answer, rows=half))
    assert reason(replace(CASE, answer=answer, rows=half)).endswith("without rows in shop_order")


@pytest.mark.parametrize("answer", [Answer(status=400), Answer(status=503), Answer(error="X", raised=True)])
def test_an_error_without_effect_is_no_success(answer: Answer) -> None:
    assert kind(replace(CASE, answer=answer)) == "nothing done"


@pytest.mark.parametrize("answer", [SERVED, ERROR])
def test_done_twice_whatever_the_answer(answer: Answer) -> None:
    twice = {**CLEAN, "shop_order": Rows(new=2)}
    assert reason(replace(CASE, answer=answer, rows=twice)).endswith("in shop_order")
    elsewhere = {**CLEAN, "shop_log": Rows(new=1)}
    assert reason(replace(CASE, answer=answer, rows=elsewhere)).endswith("in shop_log")


def test_a_deleted_row_that_is_still_there_is_missing_effect() -> None:
    deleted = replace(CASE, clean={"shop_tag": Rows(gone=1)}, answer=SERVED)
    assert "success without effect" in reason(deleted)
    assert kind(replace(deleted, rows={"shop_tag": Rows(gone=1)})) == "served"


def test_session_left_open_next_request_invariant_and_silence() -> None:
    assert reason(replace(CASE, left_open=1)).startswith("left open: ")
    assert reason(replace(CASE, next="InterfaceError: closed")) == "next request: InterfaceError: closed"
    assert reason(replace(CASE, invariant="9 of 10")) == "invariant: 9 of 10"
    assert reason(replace(CASE, gave_up=False, waited=3.2)).startswith("no time limit: ")


def test_the_invariant_is_said_first() -> None:
    everything = replace(CASE, invariant="9 of 10", left_open=1, next="closed", rows={"x": Rows(new=3)})
    assert reason(everything) == "invariant: 9 of 10"


@pytest.mark.parametrize(
    ("rows", "text"),
    [(Rows(1, 0), "+1"), (Rows(0, 2), "-2"), (Rows(1, 1), "~1"), (Rows(3, 1), "+2 ~1"), (Rows(10, 0), "+10")],
)
def test_rows_read_as_added_removed_and_changed(rows: Rows, text: str) -> None:
    assert str(rows) == text
    assert shown({"b": rows, "a": rows}) == f"rows a {text}, b {text}"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(status=201), "201"),
        (Answer(), "returned"),
        (Answer(error="OperationalError: gone", raised=True), "OperationalError"),
        (Answer(silent=True), "no answer"),
    ],
)
def test_answer_reads_as_what_the_caller_got(answer: Answer, text: str) -> None:
    assert str(answer) == text
    assert answer.served is (text in ("201", "returned"))
