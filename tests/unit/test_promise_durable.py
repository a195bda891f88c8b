from __future__ import annotations

import pytest

from lab.records.plan import Autocommit, Begin, Close, Commit, End, Enter, Leave, Rollback, Use, Write
from lab.records.variant import Variant
from unit.histories import KEEPS, Line, finding, heal, lost, ok, record, skipped, strike, verdict

DURABLE = "durable"
T = "t0"
AUTOCOMMIT = (ok(Begin(T)), ok(Write(T), on="1@a", xid=7))
ATOMIC = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=7), ok(Leave(T)))
COMMIT = (ok(Begin(T)), ok(Autocommit(T)), ok(Write(T), on="1@a", xid=7), ok(Commit(T)))


@pytest.mark.parametrize(("story", "written"), [(AUTOCOMMIT, 1), (ATOMIC, 2), (COMMIT, 2)])
def test_an_acknowledged_write_that_a_fault_takes_back_is_broken(story: tuple[Line, ...], written: int) -> None:
    crash = (*story, strike("crash", "1@a"), ok(End(T)))
    assert verdict(DURABLE, record(*crash, rows=[])) == "broken"
    assert verdict(DURABLE, record(*crash, rows=[written])) == "kept"


def test_the_broken_step_is_the_write() -> None:
    assert finding(DURABLE, record(*AUTOCOMMIT, strike("crash"), ok(End(T)))).steps == (1,)


def test_without_a_fault_nothing_was_at_stake() -> None:
    assert verdict(DURABLE, record(*AUTOCOMMIT, ok(End(T)), rows=[1])) == "unknown"


def test_a_fault_before_the_write_puts_nothing_at_stake() -> None:
    assert verdict(DURABLE, record(strike("crash"), *AUTOCOMMIT, ok(End(T)), rows=[2])) == "unknown"


def test_a_fault_that_did_not_land_makes_it_void() -> None:
    story = (*AUTOCOMMIT, strike("crash", landed=False), ok(End(T)))
    assert verdict(DURABLE, record(*story, rows=[1], void="not seen to land: crash")) == "unknown"


@pytest.mark.parametrize("rows", [[], [2]])
def test_a_commit_whose_answer_was_lost_may_go_either_way(rows: list[int]) -> None:
    story = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), strike("limit-data"), lost(Leave(T)), heal(), ok(End(T)))
    assert verdict(DURABLE, record(*story, rows=rows)) == "unknown"


def test_close_inside_atomic_that_ends_in_silence_is_broken() -> None:
    story = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), ok(Close(T)), ok(Leave(T)), ok(End(T)))
    assert verdict(DURABLE, record(*story)) == "broken"


def test_close_inside_atomic_that_raises_is_kept() -> None:
    story = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), ok(Close(T)), lost(Leave(T)), ok(End(T)))
    assert verdict(DURABLE, record(*story)) == "kept"


def test_a_swallowed_error_that_leaving_conceals_is_broken() -> None:
    inside = (ok(Enter(T)), ok(Write(T)), strike("terminate", "1@a"), lost(Write(T, swallow=True)), ok(Leave(T)))
    assert verdict(DURABLE, record(ok(Begin(T)), *inside, ok(End(T)))) == "broken"


def test_what_a_stream_left_early_has_undone_was_acknowledged() -> None:
    inside = (ok(Enter(T)), ok(Write(T)), ok(Use(T, "stream-left"), whole=True), ok(Leave(T)))
    assert verdict(DURABLE, record(ok(Begin(T)), *inside, ok(End(T)), rows=[])) == "broken"
    assert verdict(DURABLE, record(ok(Begin(T)), *inside, ok(End(T)), rows=[2])) == "kept"


def test_a_savepoint_that_was_rolled_back_need_not_be_there() -> None:
    inner = (ok(Enter(T)), ok(Write(T)), ok(Leave(T, "rollback")))
    story = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), *inner, ok(Leave(T)), strike("crash"), ok(End(T)))
    assert verdict(DURABLE, record(*story, rows=[2])) == "kept"


def test_an_inner_block_without_savepoint_takes_the_outer_one_with_it() -> None:
    inner = (ok(Enter(T, savepoint=False)), ok(Leave(T, "rollback")))
    story = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), *inner, ok(Leave(T)), strike("crash"), ok(End(T)))
    assert verdict(DURABLE, record(*story)) == "unknown"


def test_a_block_with_autocommit_off_commits_nothing() -> None:
    block = (ok(Enter(T)), ok(Write(T)), ok(Leave(T)))
    told = (ok(Begin(T)), ok(Autocommit(T)), *block, strike("crash"), lost(Rollback(T)), ok(End(T)))
    assert verdict(DURABLE, record(*told)) == "unknown"


@pytest.mark.parametrize(("claims", "says"), [(("durable", "commits-on-close"), "broken"), (("durable",), "unknown")])
def test_close_with_work_pending_tells_only_where_it_is_said_to_commit(claims: tuple[str, ...], says: str) -> None:
    variant = Variant(name="v", claims=claims)
    story = (ok(Begin(T)), ok(Autocommit(T)), ok(Write(T)), ok(Close(T)), strike("crash"), ok(End(T)))
    assert verdict(DURABLE, record(*story, variant=variant)) == says


def test_a_write_that_raised_is_nobodys_loss() -> None:
    story = (ok(Begin(T)), strike("sever-fin", "1@a"), lost(Write(T)), skipped(Write(T)), ok(End(T)))
    assert verdict(DURABLE, record(*story, variant=KEEPS)) == "unknown"
