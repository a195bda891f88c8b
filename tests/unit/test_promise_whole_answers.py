from __future__ import annotations

import pytest

from lab.promises.whole_answers import COPIED
from lab.records.plan import Begin, End, Enter, Leave, Read, Use, UseName
from unit.histories import Line, heal, lost, ok, record, strike, verdict

WHOLE = "whole-answers"
T = "t0"
BEGUN = (ok(Begin(T)), ok(Read(T), on="1@a"))


def cut(line: Line, *, rows: int = 0) -> str:
    """What is said of a use during which the connection ended; `rows` of its token are there."""
    return verdict(WHOLE, record(*BEGUN, strike("refuse", "1@a"), line, heal(), ok(End(T)), rows=[3] * rows))


@pytest.mark.parametrize("how", ["read-many", "iterator", "stream", "copy-out", "rest-of-rows"])
def test_a_result_is_whole_or_an_error(how: UseName) -> None:
    assert cut(ok(Use(T, how), whole=True)) == "kept"
    assert cut(lost(Use(T, how))) == "kept"
    assert cut(ok(Use(T, how), whole=False)) == "broken"


@pytest.mark.parametrize(("rows", "expected"), [(COPIED, "kept"), (COPIED - 1, "broken"), (0, "broken")])
def test_a_copy_that_returned_is_there(rows: int, expected: str) -> None:
    assert cut(ok(Use(T, "copy-in"), whole=True), rows=rows) == expected


def test_a_copy_that_raised_may_be_there_or_not() -> None:
    assert (cut(lost(Use(T, "copy-in"))), cut(lost(Use(T, "copy-in")), rows=COPIED)) == ("kept", "kept")


def test_a_copy_in_a_block_is_there_once_that_is_committed() -> None:
    """Nobody else tells: its rows are no writes of which each has a token of its own."""

    def block(*end: Line, rows: int, inner: tuple[Line, ...] = ()) -> str:
        copy = ok(Use(T, "copy-in"), whole=True, in_atomic=True)
        step = 1 + len(inner) + 1
        told = (ok(Begin(T)), ok(Enter(T)), *inner, copy, *end, ok(End(T)))
        return verdict(WHOLE, record(*told, rows=[step] * rows))

    committed, rolled_back = ok(Leave(T)), ok(Leave(T, "rollback"))
    assert [block(committed, rows=rows) for rows in (COPIED, COPIED - 1, 0)] == ["kept", "broken", "broken"]
    assert [block(rolled_back, rows=rows) for rows in (COPIED, 0)] == ["unknown", "unknown"]
    assert block(lost(Leave(T)), rows=0) == "unknown"
    savepoint = (ok(Enter(T)),)
    assert block(rolled_back, committed, rows=0, inner=savepoint) == "unknown"
    assert block(committed, committed, rows=0, inner=savepoint) == "broken"


def test_a_consumer_whose_session_was_replaced() -> None:
    listens = (ok(Begin(T)), ok(Use(T, "listen"), whole=True), strike("terminate", "1@a"))
    silent = ok(Use(T, "heard", swallow=True), whole=False)
    assert verdict(WHOLE, record(*listens, ok(Read(T), on="2@b"), silent, ok(End(T)))) == "broken"
    assert verdict(WHOLE, record(*listens, lost(Read(T, swallow=True)), silent, ok(End(T)))) == "kept"
    assert verdict(WHOLE, record(*listens, lost(Use(T, "heard", swallow=True)), ok(End(T)))) == "kept"
    heard = ok(Use(T, "heard", swallow=True), whole=True)
    assert verdict(WHOLE, record(*listens, ok(Read(T), on="2@b"), heard, ok(End(T)))) == "kept"


def test_nothing_at_stake() -> None:
    assert verdict(WHOLE, record(*BEGUN, ok(Use(T, "iterator"), whole=True), ok(End(T)))) == "unknown"
