from __future__ import annotations

import pytest

from lab.records.plan import ActorStep, Autocommit, Begin, Close, End, Enter, Fail, Leave, Read, Set, Sql, Use
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from unit.histories import Line, asks, census, lost, ok, record, refused, session, slow, strike, verdict

HEALTHY = "keeps-healthy"
T = "t0"
READS = ok(Read(T), on="1@a")
LIVES = census(session("1@a"))
GONE = census()


def one(*lines: Line, then: Line) -> Record:
    return record(ok(Begin(T)), READS, *lines, ok(End(T)), then)


def test_no_statement_was_refused() -> None:
    assert verdict(HEALTHY, one(then=GONE)) == "unknown"


def test_the_session_lives_on_or_does_not() -> None:
    for sqlstate in ("23505", "57014", "55P03", "40P01"):
        assert verdict(HEALTHY, one(refused(Fail(T), sqlstate), then=LIVES)) == "kept"
        assert verdict(HEALTHY, one(refused(Fail(T), sqlstate), then=GONE)) == "broken"


def test_in_atomic() -> None:
    block = (ok(Enter(T)), refused(Fail(T, swallow=True)), lost(Leave(T)))
    assert verdict(HEALTHY, one(*block, then=GONE)) == "broken"


def test_a_constraint_that_commit_violates() -> None:
    for leave, expected in ((refused(Leave(T)), "broken"), (refused(Leave(T), "40001"), "unknown")):
        assert verdict(HEALTHY, one(ok(Enter(T)), leave, then=GONE)) == expected
    assert verdict(HEALTHY, one(ok(Enter(T)), refused(Leave(T)), then=LIVES)) == "kept"


def test_whether_somebody_gets_it_does_not_matter() -> None:
    others = census(session("1@a"), session("2@b"))
    assert verdict(HEALTHY, one(refused(Fail(T)), then=others)) == "kept"


def test_another_reason_to_part_with_it() -> None:
    error = refused(Fail(T, swallow=True))
    for reason in (ok(Close(T)), ok(Autocommit(T)), strike("terminate", "1@a"), lost(Read(T))):
        assert verdict(HEALTHY, one(error, reason, then=GONE)) == "unknown"
    back = (ok(Autocommit(T)), error, ok(Autocommit(T, on=True)))
    assert verdict(HEALTHY, one(*back, then=GONE)) == "broken"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Sql(T, "BEGIN"), "unknown"),
        (Sql(T, "SET ROLE lab_other"), "unknown"),
        (Set(T, "notice_handler"), "unknown"),
        (Use(T, "open-cursor"), "unknown"),
        (Use(T, "repeat"), "broken"),
        (Sql(T, "SELECT pg_sleep(0.1)"), "broken"),
    ],
)
def test_what_the_request_has_left_is_another_reason(step: ActorStep, expected: str) -> None:
    assert verdict(HEALTHY, one(ok(step), refused(Fail(T)), then=GONE)) == expected


def test_where_nothing_is_kept_nothing_is_lost() -> None:
    told = record(ok(Begin(T)), READS, refused(Fail(T)), ok(End(T)), GONE, variant=Variant(name="stock"))
    assert verdict(HEALTHY, told) == "n/a"


@pytest.mark.parametrize(("levels", "expected"), [((), "n/a"), ((3, 4), "kept")])
def test_sessions_that_come_in_turn_are_kept_though_no_request_gets_one_again(
    levels: tuple[int, ...], expected: str
) -> None:
    failed = (ok(Begin(T)), READS, refused(Fail(T)), ok(End(T)), census(session("1@a"), session("2@b")))
    traits = Traits(overrides=("_close",), kept=3 if levels else 1, levels=levels)
    assert verdict(HEALTHY, record(*failed, *asks(T, "2@b"), variant=Variant(name="turns"), traits=traits)) == expected


def test_one_that_parts_with_sessions_without_any_error() -> None:
    """It ends what is idle for some milliseconds: that one of them had seen an error says nothing."""
    failed = (ok(Begin(T)), READS, refused(Fail(T)), ok(End(T)), GONE)
    calm = (ok(Begin(T)), ok(Read(T), on="2@b"), ok(End(T)))
    assert verdict(HEALTHY, record(*calm, census(), *failed)) == "n/a"
    assert verdict(HEALTHY, record(*failed, *calm, census())) == "broken", "the error may have cost both"
    assert verdict(HEALTHY, record(*failed, *calm, census(session("2@b")))) == "broken"
    struck = (*calm[:2], strike("terminate", "2@b"), calm[2], census())
    assert verdict(HEALTHY, record(*struck, *failed)) == "broken", "a fault had ended it"


def test_one_that_had_served_as_many_requests_as_any_is_no_loss() -> None:
    """Its sessions end of themselves: after three requests, or after a second, or now and then."""
    failed = (ok(Begin(T)), READS, refused(Fail(T)), ok(End(T)), GONE)
    third = (*asks(T, "1@a"), LIVES, *asks(T, "1@a"), LIVES, *failed)
    for serves, first, after in ((2, "broken", "unknown"), (3, "broken", "broken"), (0, "unknown", "unknown")):
        traits = Traits(serves=serves, lasts=9.0)
        assert verdict(HEALTHY, record(*failed, traits=traits)) == first
        assert verdict(HEALTHY, record(*third, traits=traits)) == after
    late = (ok(Begin(T)), READS, slow(refused(Fail(T)), 2.0), ok(End(T)), GONE)
    for lasts, expected in ((1.5, "unknown"), (9.0, "broken")):
        assert verdict(HEALTHY, record(*late, traits=Traits(serves=25, lasts=lasts))) == expected
    assert verdict(HEALTHY, record(*third)) == "broken", "nobody has looked how long they last"


def test_a_close_by_hand_gives_a_session_back_as_well() -> None:
    twice = (ok(Begin(T)), READS, ok(Close(T)), READS, ok(End(T)), LIVES)
    failed = (ok(Begin(T)), READS, refused(Fail(T)), ok(End(T)), GONE)
    assert verdict(HEALTHY, record(*twice, *failed, traits=Traits(serves=2, lasts=9.0))) == "unknown"
