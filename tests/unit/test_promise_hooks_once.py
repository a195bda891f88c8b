from __future__ import annotations

import pytest

from lab.records.plan import Begin, Close, End, Enter, Leave, Set, Use, Write
from unit.histories import Line, lost, ok, record, strike, verdict

HOOKS = "hooks-once"
T = "t0"
HOOK = ok(Use(T, "on-commit"), whole=True)
BLOCK = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), HOOK)


def ran(line: Line, *steps: int) -> Line:
    """The same, and hooks have run."""
    return Line(**{**line.__dict__, "value": {**line.value, "hooks": list(steps)}})


@pytest.mark.parametrize(
    ("hooks", "rows", "expected"),
    [((3,), [2], "kept"), ((), [2], "broken"), ((3, 3), [2], "broken"), ((3,), [], "broken"), ((), [], "kept")],
    ids=["once", "never", "twice", "of what is gone", "gone, and never"],
)
def test_a_block_that_was_left(hooks: tuple[int, ...], rows: list[int], expected: str) -> None:
    told = (*BLOCK, ran(ok(Leave(T)), *hooks), ok(End(T)))
    assert verdict(HOOKS, record(*told, rows=rows)) == expected


@pytest.mark.parametrize(
    ("hooks", "rows", "expected"),
    [((), [2], "kept"), ((), [], "kept"), ((3,), [2], "kept"), ((3,), [], "broken"), ((3, 3), [2], "broken")],
)
def test_a_commit_whose_end_is_not_known(hooks: tuple[int, ...], rows: list[int], expected: str) -> None:
    told = (*BLOCK, strike("sever-fin", "1@a"), ran(lost(Leave(T)), *hooks), ok(End(T)))
    assert verdict(HOOKS, record(*told, rows=rows)) == expected


@pytest.mark.parametrize(("hooks", "expected"), [((3,), "kept"), ((3, 4), "kept"), ((3, 3, 4), "broken")])
def test_a_hook_whose_own_query_fails(hooks: tuple[int, ...], expected: str) -> None:
    asks = ok(Use(T, "on-commit-query"), whole=True)
    told = (*BLOCK, asks, strike("cut-fin", "1@a"), ran(lost(Leave(T)), *hooks), ok(End(T)))
    assert verdict(HOOKS, record(*told, rows=[2])) == expected


def test_a_hook_of_a_savepoint_that_was_rolled_back() -> None:
    inner = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), ok(Enter(T)), ok(Write(T)), HOOK, ok(Leave(T, "rollback")))
    assert verdict(HOOKS, record(*inner, ok(Leave(T)), ok(End(T)), rows=[2])) == "kept"
    assert verdict(HOOKS, record(*inner, ran(ok(Leave(T)), 5), ok(End(T)), rows=[2])) == "broken"


def test_what_the_application_wants_rolled_back_runs_no_hook() -> None:
    asked = (*BLOCK, ok(Set(T, "needs_rollback")))
    assert verdict(HOOKS, record(*asked, ok(Leave(T)), ok(End(T)))) == "kept"
    assert verdict(HOOKS, record(*asked, ran(ok(Leave(T)), 3), ok(End(T)))) == "broken"
    assert verdict("durable", record(*asked, strike("terminate"), ok(Leave(T)), ok(End(T)))) != "broken"


def test_a_mark_ends_with_its_block() -> None:
    never = (*BLOCK, ok(Set(T, "needs_rollback")), ok(End(T), never_left=1))
    later = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), ok(Leave(T)), ok(End(T)))
    assert verdict("aborts-cleanly", record(*never, *later, rows=[8])) == "kept"


def test_a_hook_that_outlives_its_block() -> None:
    later = (ok(Begin(T)), ok(Enter(T)), ok(Write(T)), ran(ok(Leave(T)), 3), ok(End(T)))
    never = (*BLOCK, ok(End(T), never_left=1))
    assert verdict(HOOKS, record(*never, *later, rows=[7])) == "broken"
    closed = (*BLOCK, ok(Close(T)), ok(Leave(T)), ok(End(T)))
    assert verdict(HOOKS, record(*closed)) == "kept"


def test_nothing_at_stake() -> None:
    assert verdict(HOOKS, record(ok(Begin(T)), HOOK, ok(End(T)))) == "unknown"


@pytest.mark.parametrize(("hooks", "expected"), [((3,), "kept"), ((), "broken")])
def test_a_robust_hook_that_raises_keeps_no_other_one_from_running(hooks: tuple[int, ...], expected: str) -> None:
    """Nothing was struck: what left the block is no error of COMMIT's."""
    told = (*BLOCK, ok(Use(T, "on-commit-robust"), whole=True), ran(lost(Leave(T)), *hooks), ok(End(T)))
    assert verdict(HOOKS, record(*told, rows=[2])) == expected


@pytest.mark.parametrize(
    ("hooks", "rows", "expected"),
    [((3,), [2], "kept"), ((3,), [], "broken"), ((), [2], "broken"), ((), [], "kept")],
    ids=["read to its end", "undone without a word", "never", "never, and gone"],
)
def test_a_block_in_which_a_stream_was_left_early(hooks: tuple[int, ...], rows: list[int], expected: str) -> None:
    told = (*BLOCK, ok(Use(T, "stream-left"), whole=True), ran(ok(Leave(T)), *hooks), ok(End(T)))
    assert verdict(HOOKS, record(*told, rows=rows)) == expected
