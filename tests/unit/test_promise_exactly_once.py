from __future__ import annotations

import msgspec

from lab.records.census import Row
from lab.records.plan import Autocommit, Begin, Close, Commit, End, Enter, Leave, Read, Write
from unit.histories import RUN, finding, heal, lost, ok, record, strike, verdict

ONCE = "exactly-once"
T = "t0"
BLOCK = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=7))


def test_a_commit_in_doubt_may_have_happened_or_not() -> None:
    told = (*BLOCK, strike("cut-fin", "1@a"), lost(Leave(T)), ok(End(T)))
    assert verdict(ONCE, record(*told)) == "kept"
    assert verdict(ONCE, record(*told, rows=[2])) == "kept"


def test_a_write_that_is_there_twice_was_made_again() -> None:
    told = (*BLOCK, strike("cut-fin", "1@a"), lost(Leave(T)), ok(End(T)))
    found = finding(ONCE, record(*told, rows=[2, 2]))
    assert (found.verdict, found.steps) == ("broken", (2,))


def test_so_was_one_that_is_there_from_another_transaction() -> None:
    told = record(*BLOCK, strike("cut-fin", "1@a"), lost(Leave(T)), ok(End(T)))
    again = msgspec.structs.replace(told, rows=(Row(f"{RUN}:2", "8", "2@b"),))
    assert verdict(ONCE, again) == "broken"


def test_an_insert_whose_answer_was_lost() -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("cut-rst", "1@a"), lost(Write(T)), ok(End(T)))
    assert verdict(ONCE, record(*told, rows=[3])) == "kept"
    assert verdict(ONCE, record(*told, rows=[3, 3])) == "broken"


def test_a_retry_that_told_of_success_is_one_too() -> None:
    told = (
        ok(Begin(T)),
        ok(Read(T), on="1@a"),
        strike("limit-data"),
        ok(Write(T), on="2@b", xid=9),
        heal(),
        ok(End(T)),
    )
    assert verdict(ONCE, record(*told, rows=[3, 3])) == "broken"
    assert verdict(ONCE, record(*told, rows=[3])) == "kept"


def test_commit_by_hand_and_close() -> None:
    for step in (Commit(T), Close(T)):
        told = (
            ok(Begin(T)),
            ok(Autocommit(T)),
            ok(Write(T), on="1@a", xid=7),
            strike("limit-data"),
            lost(step),
            heal(),
        )
        assert verdict(ONCE, record(*told, ok(End(T)), rows=[2])) == "kept"
        assert verdict(ONCE, record(*told, ok(End(T)), rows=[2, 2])) == "broken"


def test_without_a_doubt_nothing_is_said() -> None:
    assert verdict(ONCE, record(*BLOCK, ok(Leave(T)), ok(End(T)), rows=[2])) == "unknown"
    assert verdict(ONCE, record(ok(Begin(T)), strike("cut-fin"), lost(Read(T)), ok(End(T)))) == "unknown"


def test_the_answer_to_another_question_is_not_its_matter() -> None:
    told = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=6, token="run:0"), strike("cut-fin"), lost(Leave(T)))
    other = msgspec.structs.replace(record(*told, ok(End(T))), rows=(Row(f"{RUN}:2", "7", "1@a"),))
    assert verdict(ONCE, other) == "kept"
