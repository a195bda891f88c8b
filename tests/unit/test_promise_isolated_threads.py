from __future__ import annotations

from lab.records.plan import Begin, Close, End, Enter, Leave, Read, Stop, Write
from unit.histories import Line, asks, begins, elapses, finding, lost, ok, record, returns, strike, verdict

ISOLATED = "isolated-threads"
BOTH = (ok(Begin("t0")), ok(Begin("t1")))
ENDS = (ok(End("t0")), ok(End("t1")))


def reads(actor: str, on: str) -> Line:
    return ok(Read(actor), on=on)


def test_a_session_each() -> None:
    assert verdict(ISOLATED, record(*BOTH, reads("t0", "1@a"), reads("t1", "2@b"), *ENDS)) == "kept"


def test_one_session_for_both() -> None:
    assert verdict(ISOLATED, record(*BOTH, reads("t0", "1@a"), reads("t1", "1@a"), *ENDS)) == "broken"


def test_one_that_has_lasted_long_still_has_its_session() -> None:
    for on, expected in (("1@a", "broken"), ("2@b", "kept")):
        begun = (ok(Begin("t0")), ok(Read("t0"), on="1@a"), elapses(), ok(Begin("t1")), ok(Read("t1"), on=on))
        told = record(*begun, ok(Read("t0"), on="1@a"), ok(End("t0")), ok(End("t1")))
        assert verdict("isolated-threads", told) == expected


def test_one_transaction_for_both() -> None:
    inside = (ok(Enter("t0")), ok(Write("t0"), on="1@a", xid=7), ok(Write("t1"), on="1@a", xid=7))
    assert verdict(ISOLATED, record(*BOTH, *inside, ok(Leave("t0", "rollback")), *ENDS)) == "broken"


def test_one_after_the_other_is_no_sharing() -> None:
    closed = (reads("t0", "1@a"), ok(Close("t0")), reads("t1", "1@a"))
    assert verdict(ISOLATED, record(*BOTH, *closed, *ENDS)) == "kept"
    waited = (*BOTH, reads("t0", "1@a"), begins(Read("t1")), ok(End("t0")), returns("t1", on="1@a"), ok(End("t1")))
    assert verdict(ISOLATED, record(*waited)) == "kept"


def test_closing_and_coming_back_to_it_is_sharing() -> None:
    back = (reads("t0", "1@a"), ok(Close("t0")), reads("t1", "1@a"), reads("t0", "1@a"))
    assert verdict(ISOLATED, record(*BOTH, *back, *ENDS)) == "broken"


def test_who_is_refused_is_isolated() -> None:
    assert verdict(ISOLATED, record(*BOTH, reads("t0", "1@a"), lost(Read("t1")), *ENDS)) == "kept"


def test_a_close_that_ends_the_other_ones_session() -> None:
    inside = (ok(Enter("t0")), ok(Write("t0"), on="1@a", xid=7), reads("t1", "2@b"), ok(Close("t1")))
    assert verdict(ISOLATED, record(*BOTH, *inside, lost(Write("t0")), *ENDS)) == "broken"
    fault = (*inside, strike("sever-fin", "1@a"), lost(Write("t0")))
    assert verdict(ISOLATED, record(*BOTH, *fault, *ENDS)) == "kept"


def test_the_same_xid_after_a_crash_is_another_transaction() -> None:
    writes = (ok(Write("t0"), on="1@a", xid=7), ok(Write("t1"), on="2@b", xid=7))
    assert verdict(ISOLATED, record(*BOTH, *writes, *ENDS)) == "kept"


def test_requests_in_turn_say_nothing() -> None:
    assert verdict(ISOLATED, record(*asks("t0", "1@a"), *asks("t1", "1@a"))) == "unknown"


def test_a_thread_that_has_ended_holds_nothing() -> None:
    dead = (ok(Begin("t1")), reads("t1", "1@a"), ok(Stop("t1")))
    assert verdict(ISOLATED, record(*dead, *asks("t0", "1@a"))) == "unknown"


def test_a_request_ends_where_its_actors_next_one_begins() -> None:
    twice = (ok(Begin("t0")), reads("t0", "1@a"), *asks("t0", "2@b"))
    assert verdict(ISOLATED, record(*twice, *asks("t1", "1@a"))) == "unknown"


def test_a_session_that_was_closed_may_be_anothers_and_come_back() -> None:
    lent = (ok(Begin("t0")), reads("t0", "1@a"), ok(Close("t0")), *asks("t1", "1@a"), reads("t0", "1@a"))
    assert verdict(ISOLATED, record(*lent, ok(End("t0")))) == "kept"


def test_a_session_that_was_closed_is_used_on_beside_its_new_owner() -> None:
    closed = (*BOTH, reads("t0", "1@a"), ok(Close("t0")), reads("t1", "1@a"))
    assert verdict(ISOLATED, record(*closed, reads("t0", "2@b"), *ENDS)) == "kept"
    assert verdict(ISOLATED, record(*closed, reads("t0", "1@a"), *ENDS)) == "broken"


def test_a_thread_that_ends_and_takes_the_others_session_with_it() -> None:
    taken_up = (*asks("t1", "1@a"), ok(Begin("t0")), reads("t0", "1@a"), ok(Stop("t1")))
    told = finding(ISOLATED, record(*taken_up, lost(Read("t0")), ok(End("t0"))))
    assert (told.verdict, told.steps) == ("broken", (6,))
    assert verdict(ISOLATED, record(*taken_up, reads("t0", "1@a"), ok(End("t0")))) == "kept"


def test_what_else_explains_an_error_after_a_threads_end() -> None:
    taken_up = (*asks("t1", "1@a"), ok(Begin("t0")), reads("t0", "1@a"), ok(Stop("t1")))
    struck = (*taken_up, strike("terminate", "1@a"), lost(Read("t0")), ok(End("t0")))
    assert verdict(ISOLATED, record(*struck)) != "broken"
    served = (*taken_up, reads("t0", "1@a"), lost(Read("t0")), ok(End("t0")))
    assert verdict(ISOLATED, record(*served)) == "kept"
    own = (*asks("t1", "1@a"), ok(Begin("t0")), ok(Stop("t1")), lost(Read("t0")), ok(End("t0")))
    assert verdict(ISOLATED, record(*own)) == "unknown"
    child = (*asks("c0.t0", "1@a"), ok(Begin("t0")), reads("t0", "2@b"), ok(Stop("c0.t0")), lost(Read("t0")))
    assert verdict(ISOLATED, record(*child, ok(End("t0")))) == "unknown"
