from __future__ import annotations

import pytest

from lab.records.plan import Autocommit, Begin, Close, Commit, End, Enter, Fail, Leave, Read, Use, Write
from unit.histories import Line, elapses, finding, heal, lost, ok, record, refused, strike, verdict

ATOMIC = "atomic"
T = "t0"
FIN = strike("sever-fin", "1@a")


def write(on: str = "1@a", xid: int = 7) -> Line:
    return ok(Write(T), on=on, xid=xid)


def block(*inside: Line, leave: Line | None = None) -> tuple[Line, ...]:
    return ok(Begin(T)), ok(Enter(T)), *inside, leave or ok(Leave(T)), ok(End(T))


def test_half_of_a_block_is_broken() -> None:
    told = finding(ATOMIC, record(*block(write(), write()), rows=[3]))
    assert (told.verdict, told.steps) == ("broken", (4,))


@pytest.mark.parametrize("rows", [[], [2, 3]])
def test_all_or_nothing_after_a_lost_commit_is_kept(rows: list[int]) -> None:
    told = block(write(), write(), strike("limit-data", "1@a"), leave=lost(Leave(T)))
    assert verdict(ATOMIC, record(*told, rows=rows)) == "kept"


def test_half_of_it_after_a_lost_commit_is_broken() -> None:
    told = block(write(), write(), strike("limit-data", "1@a"), leave=lost(Leave(T)))
    assert verdict(ATOMIC, record(*told, rows=[2])) == "broken"


def test_a_statement_on_another_session_is_broken_though_nothing_is_lost() -> None:
    told = block(ok(Read(T), on="1@a"), FIN, lost(Read(T, swallow=True)), write(on="2@b"))
    assert verdict(ATOMIC, record(*told, rows=[5])) == "broken"


def test_writes_in_two_transactions_of_one_session_are_broken() -> None:
    assert verdict(ATOMIC, record(*block(write(xid=7), write(xid=8)), rows=[2, 3])) == "broken"


@pytest.mark.parametrize(
    ("statements", "on", "expected"), [(10, "1@a", "kept"), (2, "1@a", "unknown"), (10, "2@b", "broken")]
)
def test_many_statements_are_no_reason_for_another_session(statements: int, on: str, expected: str) -> None:
    told = block(*[write()] * statements, write(on))
    assert verdict(ATOMIC, record(*told, rows=range(2, 3 + statements))) == expected


def test_a_stray_commit_that_succeeds_is_broken() -> None:
    assert verdict(ATOMIC, record(*block(write(), FIN), rows=[])) == "broken"


def test_a_swallowed_error_that_leaving_raises_is_kept() -> None:
    told = block(write(), FIN, lost(Write(T, swallow=True)), leave=lost(Leave(T)))
    assert verdict(ATOMIC, record(*told)) == "kept"


def test_a_swallowed_error_that_leaving_conceals_is_broken() -> None:
    assert verdict(ATOMIC, record(*block(write(), refused(Fail(T, swallow=True))))) == "broken"


def test_a_stream_left_early_that_has_undone_the_block_without_a_word_is_broken() -> None:
    left = (write(), ok(Use(T, "stream-left"), whole=True))
    assert verdict(ATOMIC, record(*block(*left), rows=[])) == "broken"
    assert verdict(ATOMIC, record(*block(*left), rows=[2])) == "kept"
    assert verdict(ATOMIC, record(*block(*left, leave=lost(Leave(T))), rows=[])) == "kept"


def test_a_write_that_raised_and_is_there_alone_is_broken() -> None:
    told = block(write(), FIN, lost(Write(T, swallow=True)), leave=lost(Leave(T)))
    assert verdict(ATOMIC, record(*told, rows=[4])) == "broken"


def test_close_inside_that_raises_later_is_kept() -> None:
    assert verdict(ATOMIC, record(*block(write(), ok(Close(T)), leave=lost(Leave(T))))) == "kept"


def test_a_block_that_met_nothing_says_nothing() -> None:
    assert verdict(ATOMIC, record(*block(write(), write()), rows=[2, 3])) == "unknown"


def test_a_fault_outside_any_block_says_nothing() -> None:
    assert verdict(ATOMIC, record(ok(Begin(T)), ok(Write(T)), FIN, lost(Read(T)), ok(End(T)), rows=[1])) == "unknown"


def test_a_block_on_another_alias_has_a_session_of_its_own() -> None:
    told = block(write(), ok(Write(T, alias="other"), on="2@b", xid=9), FIN, leave=lost(Leave(T)))
    assert verdict(ATOMIC, record(*told, rows=[3])) == "kept"


def test_nested_blocks_on_two_aliases_are_two_blocks() -> None:
    other = (ok(Enter(T, alias="other")), ok(Write(T, alias="other"), on="2@b", xid=9), ok(Leave(T)))
    told = block(write(), *other, FIN, leave=lost(Leave(T)))
    assert verdict(ATOMIC, record(*told, rows=[4])) == "kept"
    assert verdict(ATOMIC, record(*told)) == "broken"


def test_an_error_ends_the_blocks_of_all_aliases() -> None:
    told = (ok(Begin(T)), ok(Enter(T)), write(), ok(Enter(T, alias="other")), FIN, lost(Write(T, alias="other")))
    assert verdict(ATOMIC, record(*told, ok(End(T)), *block(write(on="3@c", xid=8)), rows=[9])) == "kept"


def test_autocommit_off_is_a_transaction_too() -> None:
    begun = (ok(Begin(T)), ok(Autocommit(T)), write(), FIN, lost(Write(T, swallow=True)))
    raises = (*begun, lost(Commit(T)), ok(End(T)))
    moves = (*begun, write(on="2@b", xid=8), ok(Commit(T)), ok(End(T)))
    assert verdict(ATOMIC, record(*raises)) == "kept"
    assert verdict(ATOMIC, record(*moves, rows=[5])) == "broken"


def test_what_follows_a_heal_is_judged_by_itself() -> None:
    told = (*block(write(), strike("limit-data", "1@a"), leave=lost(Leave(T))), heal(), *block(write(on="2@b", xid=8)))
    assert verdict(ATOMIC, record(*told, rows=[9])) == "kept"


@pytest.mark.parametrize(("after", "expected"), [("1@a", "kept"), ("2@b", "broken")])
def test_time_that_passes_in_a_block_renews_nothing(after: str, expected: str) -> None:
    told = block(write(), elapses(), write(on=after))
    assert verdict(ATOMIC, record(*told, rows=[2, 4])) == expected
    assert verdict(ATOMIC, record(elapses(), *block(write(), write()), rows=[3, 4])) == "unknown"
