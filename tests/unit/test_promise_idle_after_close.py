from __future__ import annotations

from lab.records.plan import Begin, Close, End, Read
from unit.histories import asks, begins, census, lost, ok, record, returns, session, strike, verdict

IDLE = "idle-after-close"
T = "t0"
OPEN = session("1@a", "idle in transaction", xact=True)


def test_an_idle_session_is_kept() -> None:
    assert verdict(IDLE, record(*asks(T, "1@a"), census(session("1@a")))) == "kept"
    assert verdict(IDLE, record(*asks(T, "1@a"), census())) == "kept"


def test_an_open_transaction_and_a_lock_are_broken() -> None:
    assert verdict(IDLE, record(*asks(T, "1@a"), census(OPEN))) == "broken"
    assert verdict(IDLE, record(*asks(T, "1@a"), census(session("1@a", locks=1)))) == "broken"


def test_a_session_that_a_fault_struck_is_not_the_backends_to_tidy() -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("sever-fin", "1@a"), lost(Read(T)), ok(End(T)))
    assert verdict(IDLE, record(*told, census(OPEN))) == "kept"


def test_another_request_in_flight_may_hold_what_it_uses() -> None:
    beside = (ok(Begin("t1")), ok(Read("t1"), on="1@a"), *asks(T, "2@b"))
    assert verdict(IDLE, record(*beside, census(OPEN, session("2@b")))) == "kept"
    left = session("2@b", "idle in transaction", xact=True)
    assert verdict(IDLE, record(*beside, census(session("1@a"), left))) == "broken"


def test_a_session_that_nobody_was_seen_to_use_may_be_that_of_a_request_in_flight() -> None:
    beside = (ok(Begin("t1")), ok(Read("t1"), on="3@c"), *asks(T, "2@b"))
    assert verdict(IDLE, record(*beside, census(OPEN))) == "kept"
    assert verdict(IDLE, record(*asks(T, "2@b"), census(OPEN))) == "broken"


def test_a_request_that_waits_for_a_session_may_have_been_given_that_of_one_that_ended() -> None:
    """A pool that looks at a session before it hands it out does so in a transaction."""
    waits = (ok(Begin("t1")), begins(Read("t1")))
    told = (*waits, *asks(T, "1@a"), census(OPEN), returns("t1", on="2@b"), ok(End("t1")))
    assert verdict(IDLE, record(*told)) == "kept"
    has = (ok(Begin("t1")), ok(Read("t1"), on="2@b"), *asks(T, "1@a"), census(OPEN), ok(End("t1")))
    assert verdict(IDLE, record(*has)) == "broken"


def test_so_may_one_that_has_closed_its_own_by_hand() -> None:
    """One session for all threads in turn: who closed it waits for it, and gets it when the other's request ends."""
    closed = (ok(Begin("t1")), ok(Read("t1"), on="1@a"), ok(Close("t1")))
    told = (*closed, begins(Read("t1")), *asks(T, "1@a"), census(OPEN), returns("t1", on="1@a"), ok(End("t1")))
    assert verdict(IDLE, record(*told)) == "kept"
    again = (*closed, ok(Read("t1"), on="2@b"), *asks(T, "1@a"), census(OPEN), ok(End("t1")))
    assert verdict(IDLE, record(*again)) == "broken"


def test_no_request_has_ended() -> None:
    assert verdict(IDLE, record(ok(Begin(T)), ok(Read(T), on="1@a"))) == "unknown"
    assert verdict(IDLE, record(*asks(T, "1@a"), census(OPEN, at="inject refuse"))) == "unknown"


def test_while_a_fault_lasts_nothing_is_asked() -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("black-hole", "2@b"), ok(End(T)), census(OPEN))
    assert verdict(IDLE, record(*told)) == "unknown"
