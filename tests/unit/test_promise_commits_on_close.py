from __future__ import annotations

import pytest

from lab.records.plan import Autocommit, Begin, Close, End, Enter, Fail, Leave, Rollback, Write
from lab.records.variant import Traits, Variant
from unit.histories import KEEPS, Line, asks, finding, lost, ok, record, refused, strike, verdict

COMMITS = "commits-on-close"
T = "t0"
OFF = Traits(autocommit=False)
PENDING = (ok(Begin(T)), ok(Autocommit(T)), ok(Write(T), on="1@a", xid=7), ok(Write(T), on="1@a", xid=7))
BY_HAND = (*PENDING, ok(Close(T)), ok(End(T)))
AT_END = (*PENDING, ok(End(T)))


@pytest.mark.parametrize("story", [BY_HAND, AT_END])
@pytest.mark.parametrize(("rows", "says"), [([2, 3], "kept"), ([], "broken"), ([2], "broken"), ([2, 3, 3], "broken")])
def test_close_commits_exactly_once(story: tuple[Line, ...], rows: list[int], says: str) -> None:
    assert verdict(COMMITS, record(*story, rows=rows)) == says


def test_autocommit_may_be_off_by_the_settings() -> None:
    told = (ok(Begin(T)), ok(Write(T)), ok(End(T)))
    assert verdict(COMMITS, record(*told, traits=OFF, rows=[1])) == "kept"
    assert verdict(COMMITS, record(*told, traits=OFF)) == "broken"


@pytest.mark.parametrize(("rows", "says"), [([], "kept"), ([2, 3], "kept"), ([2], "broken"), ([2, 3, 2, 3], "broken")])
def test_a_close_that_raises_may_have_committed_all_or_nothing(rows: list[int], says: str) -> None:
    cut = (*PENDING, strike("terminate", "1@a"), lost(Close(T)), ok(End(T)), *asks(T, "2@b"))
    assert verdict(COMMITS, record(*cut, rows=rows)) == says


def test_a_close_that_raises_discards_the_session() -> None:
    cut = (*PENDING, lost(Close(T)), ok(End(T)))
    assert verdict(COMMITS, record(*cut, *asks(T, "1@a"))) == "broken"


def test_a_close_that_was_interrupted_after_its_commit_may_keep_the_session() -> None:
    cut = (*PENDING, strike("interrupt"), lost(Close(T)), ok(End(T)), *asks(T, "1@a"))
    assert verdict(COMMITS, record(*cut, rows=[2, 3])) == "kept"
    assert verdict(COMMITS, record(*cut)) == "broken"


def test_a_lost_commit_in_silence_is_broken() -> None:
    cut = (*PENDING, strike("terminate", "1@a"), ok(Close(T)), ok(End(T)))
    assert finding(COMMITS, record(*cut)).steps == (5,)


def test_what_was_rolled_back_or_refused_is_not_pending() -> None:
    assert verdict(COMMITS, record(*PENDING, ok(Rollback(T)), ok(End(T)))) == "unknown"
    assert verdict(COMMITS, record(*PENDING, refused(Fail(T, swallow=True)), ok(End(T)))) == "unknown"


def test_it_applies_only_where_it_is_claimed() -> None:
    assert verdict(COMMITS, record(*AT_END, variant=Variant(name="django"))) == "n/a"
    assert verdict(COMMITS, record(*AT_END, variant=Variant(name="v", claims=("durable",)))) == "n/a"
    assert verdict(COMMITS, record(*AT_END, variant=Variant(name="v"), traits=Traits(overrides=("close",)))) == "broken"


def test_the_default_variant_of_these_tests_claims_it() -> None:
    assert KEEPS.claimed(COMMITS)


@pytest.mark.parametrize("traits", [OFF, Traits()])
def test_what_a_block_that_was_never_left_has_written_is_not_outside_atomic(traits: Traits) -> None:
    off = () if traits is OFF else (ok(Autocommit(T)),)
    told = (ok(Begin(T)), *off, ok(Enter(T)), ok(Write(T), on="1@a", xid=7), ok(End(T), never_left=1))
    assert verdict(COMMITS, record(*told, traits=traits)) == "unknown"


def test_an_error_that_a_savepoint_has_healed_changes_nothing() -> None:
    healed = (ok(Enter(T)), ok(Write(T), on="1@a"), refused(Fail(T, swallow=True)), ok(Leave(T, "rollback")))
    told = (ok(Begin(T)), ok(Autocommit(T)), ok(Write(T), on="1@a"), *healed, ok(Write(T), on="1@a"), ok(End(T)))
    assert verdict(COMMITS, record(*told, rows=[2, 7])) == "kept"
    assert verdict(COMMITS, record(*told)) == "broken"
    assert verdict(COMMITS, record(*told, rows=[2, 4, 7])) == "broken"
    inner = (ok(Enter(T)), refused(Fail(T, swallow=True)), ok(Leave(T)))
    again = (ok(Begin(T)), ok(Autocommit(T)), ok(Write(T), on="1@a"), *inner, ok(End(T)))
    assert verdict(COMMITS, record(*again)) == "unknown"
