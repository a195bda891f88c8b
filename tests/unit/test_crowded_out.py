"""A request that may have failed only because others had all the sessions is held against no backend."""

from __future__ import annotations

import msgspec
import pytest

from lab.judging.trace import Trace
from lab.records.lifecycle import Lifecycle
from lab.records.plan import Begin, Close, End, Fail, Fork, Read, Stop
from lab.records.variant import Traits
from unit.histories import KEEPS, Line, asks, hung, lost, ok, record, refused

T = "t0"
FAILS = (ok(Begin(T)), lost(Read(T)), ok(End(T)))
BESIDE = (ok(Begin("t1")), ok(Read("t1"), on="2@b"))
BOTH = (ok(Begin(T)), *BESIDE, ok(Read(T), on="1@a"), ok(End(T)), ok(End("t1")))


def crowded_out(*lines: Line, threads: int | None = None, maximum: int = 0, pool: int = 0, **own: Lifecycle) -> bool:
    """Of the last request of t0."""
    variant = msgspec.structs.replace(KEEPS, threads=threads, maximum=maximum)
    trace = Trace(record(*lines, variant=variant, traits=Traits(pool_max=pool), lifecycles=own))
    return trace.crowded_out([each for each in trace.requests if each.actor == T and each.errors][-1])


def test_another_in_flight_may_have_the_only_session() -> None:
    assert crowded_out(*BESIDE, *FAILS)
    assert not crowded_out(*FAILS)
    assert not crowded_out(*asks("t1", "2@b"), *FAILS), "it had given it back"


def test_not_where_as_many_had_been_served_side_by_side() -> None:
    assert not crowded_out(*BOTH, *BESIDE, *FAILS)
    third = (ok(Begin("t2")), ok(Read("t2"), on="3@c"))
    assert crowded_out(*BOTH, *BESIDE, *third, *FAILS), "two had been, and this is the third"


def test_unless_one_of_the_others_gives_nothing_back() -> None:
    assert crowded_out(*BOTH, *BESIDE, hung(Read("t1")), *FAILS)
    assert crowded_out(*BOTH, *BESIDE, ok(Stop("t1")), *FAILS)
    assert not crowded_out(*BOTH, ok(Begin(T)), lost(Read(T)), *BESIDE, ok(Stop("t1"))), "it ended later than that"


def test_not_where_it_had_a_session_of_that_alias() -> None:
    served = (ok(Begin(T)), ok(Read(T), on="1@a"), lost(Read(T)), ok(End(T)))
    assert not crowded_out(*BESIDE, *served)
    assert not crowded_out(*BESIDE, ok(Stop("t1")), *served)
    elsewhere = (ok(Begin(T)), ok(Read(T, alias="twin"), on="1@a"), lost(Read(T)), ok(End(T)))
    assert crowded_out(*BESIDE, *elsewhere)
    assert crowded_out(*BESIDE, *elsewhere, threads=1)


COMMAND: Lifecycle = "command"
THREAD: tuple[Line, ...] = (ok(Begin("t1")), ok(Read("t1"), on="2@b"), ok(End("t1")))
"""One unit of work; as a thread or a command, Django hears nothing of its end."""


@pytest.mark.parametrize(("lifecycle", "holds"), [("command", True), ("thread", True), ("request", False)])
def test_an_idle_thread_of_which_no_end_is_heard_holds_its_session(lifecycle: Lifecycle, holds: bool) -> None:
    assert crowded_out(*THREAD, *FAILS, threads=1, t1=lifecycle) is holds
    assert crowded_out(*THREAD, *FAILS, maximum=1, t1=lifecycle) is holds
    assert crowded_out(*THREAD, *FAILS, pool=1, t1=lifecycle) is holds


def test_only_where_the_maximum_is_known_and_reached() -> None:
    assert not crowded_out(*THREAD, *FAILS, t1="command")
    assert not crowded_out(*THREAD, *FAILS, threads=2, t1="command")
    assert not crowded_out(*THREAD, *FAILS, maximum=2, pool=1, t1="command"), "what is stated goes first"


def test_what_was_served_by_itself_was_not_crowded_out_by_an_idle_thread() -> None:
    served = (ok(Begin(T)), ok(Read(T), on="1@a"), lost(Read(T)), ok(End(T)))
    assert not crowded_out(*THREAD, *served, threads=1, t1="command")


def test_a_close_gives_the_session_of_its_alias_back() -> None:
    assert not crowded_out(*THREAD, ok(Close("t1")), *FAILS, threads=1, t1="command")
    assert crowded_out(*THREAD, ok(Close("t1", alias="twin")), *FAILS, threads=1, t1="command")


def test_what_another_process_or_another_alias_has_takes_nothing_away() -> None:
    child = (ok(Fork(T), child="c0"), ok(Begin("c0.t0")), ok(Read("c0.t0"), on="2@b"), ok(End("c0.t0")))
    of_one, command = msgspec.structs.replace(KEEPS, threads=1), {"c0.t0": COMMAND}
    trace = Trace(record(*child, *FAILS, variant=of_one, lifecycles=command))
    assert not trace.crowded_out(trace.requests[-1])
    other = (ok(Begin("t1")), ok(Read("t1", alias="twin"), on="2@b"), ok(End("t1")))
    assert not crowded_out(*other, *FAILS, threads=1, t1="command")


def test_a_call_that_failed_holds_nothing_unless_its_error_was_meant() -> None:
    def after(call: Line) -> bool:
        return crowded_out(ok(Begin("t1")), call, ok(End("t1")), *FAILS, threads=1, t1="command")

    assert [after(lost(Read("t1"))), after(refused(Fail("t1")))] == [False, True]
    assert not crowded_out(*FAILS, *THREAD, threads=1, t1="command"), "it came later"
