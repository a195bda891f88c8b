from __future__ import annotations

import pytest

from lab.records.plan import Autocommit, Begin, Close, Commit, End, Enter, Fail, Leave, Rollback, Stop, Write
from unit.histories import Line, finding, lost, ok, record, refused, strike, verdict

ABORTS = "aborts-cleanly"
T = "t0"
WROTE = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=7))


def test_a_savepoint_around_one_that_wrote() -> None:
    inner = (ok(Enter(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=7), ok(Leave(T)), ok(Leave(T, "rollback")))
    rest = (ok(Write(T), on="1@a", xid=7), ok(Leave(T)), ok(End(T)))
    assert verdict(ABORTS, record(*WROTE, *inner, *rest, rows=[2, 8])) == "kept"
    assert verdict(ABORTS, record(*WROTE, *inner, *rest, rows=[2, 5, 8])) == "broken"


@pytest.mark.parametrize(
    "rest",
    [
        (ok(Leave(T, "rollback")), ok(End(T))),
        (refused(Fail(T)), ok(End(T))),
        (strike("sever-fin", "1@a"), lost(Write(T)), ok(End(T))),
        (ok(Close(T)), ok(Leave(T, "rollback")), ok(End(T))),
        (ok(Close(T)), ok(End(T))),
        (ok(End(T), never_left=1),),
    ],
    ids=["exception", "statement", "lost connection", "close, left later", "close, never left", "never left"],
)
def test_what_was_rolled_back_must_be_gone(rest: tuple[Line, ...]) -> None:
    assert verdict(ABORTS, record(*WROTE, *rest)) == "kept"
    told = finding(ABORTS, record(*WROTE, *rest, rows=[2]))
    assert (told.verdict, told.steps) == ("broken", (2,))


def test_a_savepoint_rolled_back_is_gone_and_the_rest_may_stay() -> None:
    told = (*WROTE, ok(Enter(T)), ok(Write(T)), ok(Leave(T, "rollback")), ok(Leave(T)), ok(End(T)))
    assert verdict(ABORTS, record(*told, rows=[2])) == "kept"
    assert verdict(ABORTS, record(*told, rows=[2, 4])) == "broken"


def test_an_inner_block_without_savepoint_takes_the_outer_one_with_it() -> None:
    told = (*WROTE, ok(Enter(T, savepoint=False)), ok(Leave(T, "rollback")), ok(Leave(T)), ok(End(T)))
    assert verdict(ABORTS, record(*told)) == "kept"
    assert verdict(ABORTS, record(*told, rows=[2])) == "broken"


def test_rollback_by_hand() -> None:
    told = (ok(Begin(T)), ok(Autocommit(T)), ok(Write(T)), ok(Rollback(T)), ok(Write(T)), ok(Commit(T)), ok(End(T)))
    assert verdict(ABORTS, record(*told, rows=[4])) == "kept"
    assert verdict(ABORTS, record(*told, rows=[2, 4])) == "broken"


def test_after_close_autocommit_is_on_again() -> None:
    told = (ok(Begin(T)), ok(Autocommit(T)), ok(Close(T)), ok(Write(T)), ok(Rollback(T)), ok(End(T)))
    assert verdict(ABORTS, record(*told, rows=[3])) == "unknown"


def test_a_commit_in_doubt_was_not_rolled_back() -> None:
    told = (*WROTE, strike("limit-data", "1@a"), lost(Leave(T)), ok(End(T)))
    assert verdict(ABORTS, record(*told, rows=[2])) == "unknown"


def test_a_block_that_wrote_nothing_says_nothing() -> None:
    assert verdict(ABORTS, record(ok(Begin(T)), ok(Enter(T)), ok(Leave(T, "rollback")), ok(End(T)))) == "unknown"


def test_a_block_that_ends_with_its_thread_was_never_left() -> None:
    """Nothing asked for COMMIT. What is pending with autocommit off is another matter: close() may mean to commit."""
    told = (ok(Begin("t1")), ok(Enter("t1")), ok(Write("t1")), ok(Stop("t1")))
    assert [verdict(ABORTS, record(*told, rows=rows)) for rows in ([2], [])] == ["broken", "kept"]
    pending = (ok(Begin("t1")), ok(Autocommit("t1")), ok(Write("t1")), ok(Stop("t1")))
    assert verdict(ABORTS, record(*pending, rows=[2])) == "unknown"
