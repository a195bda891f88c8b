"""How a history is read: calls, requests, and the transactions that the application meant."""

from __future__ import annotations

from lab.judging.calls import FOREVER
from lab.judging.trace import Trace
from lab.records.plan import Autocommit, Begin, Close, Commit, End, Enter, Fail, Leave, Read, Rollback, Sql, Stop, Write
from lab.records.variant import Traits
from unit.histories import Line, asks, begins, heal, lost, ok, record, refused, returns, skipped, strike

T = "t0"
IN_REQUEST = ok(Begin(T))


def read(*lines: Line, manual: bool = False) -> Trace:
    return Trace(record(*lines, traits=Traits(autocommit=not manual)))


def outcomes(*lines: Line, manual: bool = False) -> list[tuple[str, str]]:
    return [(unit.kind, unit.outcome) for unit in read(IN_REQUEST, *lines, manual=manual).units]


def test_all_judges_of_a_record_read_one_trace() -> None:
    one, another = record(IN_REQUEST), record(IN_REQUEST)
    assert one == another
    assert Trace(one) is Trace(one)
    assert Trace(another) is not Trace(one)
    assert Trace(another).record is another


def test_a_call_lasts_from_its_invocation_to_its_answer() -> None:
    calls = read(IN_REQUEST, begins(Read(T)), *asks("t1", "2@b"), returns(T, on="1@a")).calls
    waited = next(call for call in calls if call.actor == T and call.f == "read")
    assert waited.session == "1@a"
    assert all(waited.begin < call.begin and call.end < waited.end for call in calls if call.actor == "t1")


def test_a_call_that_never_returned_is_left_out() -> None:
    assert [call.f for call in read(IN_REQUEST, begins(Read(T))).calls] == ["begin"]


def test_a_request_ends_with_its_end_its_thread_or_the_next_one() -> None:
    ended, stopped, followed, last = (
        read(*asks(T, "1@a")).requests[0],
        read(ok(Begin("t1")), ok(Stop("t1"))).requests[0],
        *read(IN_REQUEST, IN_REQUEST).requests,
    )
    assert ended.end < FOREVER
    assert stopped.end < FOREVER
    assert followed.end == last.begin
    assert last.end == FOREVER


def test_ordinary_requests_leave_what_they_enter() -> None:
    block = (IN_REQUEST, ok(Enter(T)), ok(Leave(T)), ok(End(T)))
    never = (IN_REQUEST, ok(Enter(T)), ok(End(T), never_left=1))
    assert [request.ordinary for request in read(*block, *never, *asks(T, "1@a")).requests] == [True, False, True]


def test_a_request_that_finds_a_block_open_is_not_ordinary() -> None:
    assert not read(ok(Enter(T)), *asks(T, "1@a")).requests[0].ordinary
    assert not read(IN_REQUEST, ok(Enter(T)), *asks(T, "1@a")).requests[1].ordinary


def test_an_error_that_was_asked_for_is_none() -> None:
    request = read(IN_REQUEST, refused(Fail(T)), skipped(Read(T)), ok(End(T))).requests[0]
    assert request.errors == []


def test_units() -> None:
    assert outcomes(ok(Write(T))) == [("autocommit", "acked")]
    assert outcomes(lost(Write(T))) == [("autocommit", "doubt")]
    assert outcomes(ok(Enter(T)), ok(Write(T)), ok(Leave(T))) == [("atomic", "acked")]
    assert outcomes(ok(Enter(T)), ok(Write(T)), lost(Leave(T))) == [("atomic", "doubt")]
    assert outcomes(ok(Enter(T)), ok(Write(T)), lost(Read(T))) == [("atomic", "aborted")]
    assert outcomes(ok(Enter(T)), ok(Write(T)), ok(End(T))) == [("atomic", "aborted")]
    assert outcomes(ok(Sql(T, "BEGIN")), ok(Write(T)), ok(End(T))) == [("by hand", "open")]


def test_units_with_autocommit_off() -> None:
    off = ok(Autocommit(T))
    assert outcomes(off, ok(Write(T)), ok(Commit(T))) == [("manual", "acked")]
    assert outcomes(off, ok(Write(T)), ok(Rollback(T))) == [("manual", "aborted")]
    assert outcomes(off, ok(Write(T)), ok(Close(T)), ok(Write(T))) == [("manual", "closed"), ("autocommit", "acked")]
    assert outcomes(ok(Write(T)), ok(End(T)), manual=True) == [("manual", "closed")]
    assert outcomes(ok(Write(T)), lost(Read(T, swallow=True)), ok(End(T)), manual=True) == [("manual", "doubt")]
    assert outcomes(ok(Enter(T)), ok(Write(T)), ok(Leave(T)), ok(Commit(T)), manual=True) == [("manual", "acked")]


def test_each_session_that_died_unnoticed_is_stale() -> None:
    idle = (*asks(T, "1@a"), *asks("t1", "2@b"))
    assert read(*idle, strike("terminate", "1@a", "2@b")).stale == 2
    noticed = (IN_REQUEST, ok(Read(T), on="1@a"), strike("terminate", "1@a", "2@b"), lost(Read(T)), ok(End(T)))
    assert read(*noticed).stale == 1
    unnoticed = (IN_REQUEST, ok(Read(T), on="1@a"), strike("terminate", "1@a"), ok(End(T)))
    assert read(*unnoticed).stale == 1


def test_a_session_that_thaws_is_not_stale() -> None:
    assert read(*asks(T, "1@a"), strike("freeze", "1@a"), heal(), *asks(T, "1@a")).stale == 0


def test_a_request_meets_a_fault_that_strikes_in_it_or_whose_error_it_gets() -> None:
    trace = read(*asks(T, "1@a"), strike("terminate", "1@a"), IN_REQUEST, lost(Read(T)), ok(End(T)), *asks(T, "2@b"))
    assert [trace.met(request) for request in trace.requests] == [False, True, False]
