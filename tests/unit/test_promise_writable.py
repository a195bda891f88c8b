from __future__ import annotations

from lab.records.plan import Begin, End, Read, Write
from unit.histories import Line, asks, census, heal, ok, record, refused, session, strike, verdict

WRITABLE = "writable"
T = "t0"
TURNS = strike("read-only")


def told_so(on: str, actor: str = T) -> tuple[Line, ...]:
    return ok(Begin(actor)), ok(Read(actor), on=on), refused(Write(actor), "25006"), ok(End(actor))


def test_the_server_takes_writes() -> None:
    assert verdict(WRITABLE, record(*told_so("1@a"), *asks(T, "1@a"))) == "unknown"


def test_the_next_request_has_a_new_session() -> None:
    assert verdict(WRITABLE, record(*asks(T, "1@a"), TURNS, *told_so("1@a"), heal(), *asks(T, "2@b"))) == "kept"


def test_the_next_request_has_the_old_one() -> None:
    assert verdict(WRITABLE, record(*asks(T, "1@a"), TURNS, *told_so("1@a"), *asks(T, "1@a"), heal())) == "broken"


def test_an_old_session_whose_server_takes_writes_again_is_as_good_as_a_new_one() -> None:
    assert verdict(WRITABLE, record(*asks(T, "1@a"), TURNS, *told_so("1@a"), heal(), *asks(T, "1@a"))) == "kept"


def test_a_session_that_stays_read_only_after_the_heal() -> None:
    told = (*asks(T, "1@a"), TURNS, *told_so("1@a"), heal(), *told_so("1@a"), *asks(T, "1@a"))
    assert verdict(WRITABLE, record(*told)) == "broken"


def test_any_session_from_before_the_error_is_an_old_one() -> None:
    known = census(session("1@a"), session("9@i"), at="inject")
    assert verdict(WRITABLE, record(TURNS, known, *told_so("1@a"), *asks(T, "9@i"), heal())) == "broken"


def test_still_read_only_each_error_counts() -> None:
    again = (TURNS, *told_so("1@a"), *told_so("2@b"))
    assert verdict(WRITABLE, record(*again, *asks(T, "3@c"))) == "kept"
    assert verdict(WRITABLE, record(*again, *asks(T, "2@b"))) == "broken"


def test_nobody_wrote_or_nobody_came_after() -> None:
    assert verdict(WRITABLE, record(TURNS, *asks(T, "1@a"), *asks(T, "1@a"))) == "unknown"
    assert verdict(WRITABLE, record(TURNS, *told_so("1@a"), *asks("t1", "1@a"))) == "unknown"
