"""Units of work that are not requests: what Django is told of them, and how they are judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.check.cases import gather
from lab.explore.shrink import shrink
from lab.judging.session_state import LEAVE
from lab.judging.trace import Trace
from lab.promise import PROMISES
from lab.records.codec import decode_plan, encode
from lab.records.lifecycle import MOMENTS, TELLS, Lifecycle
from lab.records.plan import (
    Autocommit,
    Begin,
    Close,
    End,
    Enter,
    Finish,
    Fork,
    Leave,
    Look,
    Plan,
    Read,
    Sql,
    Write,
)
from lab.records.variant import Traits, Variant
from unit.histories import Line, asks, census, lost, ok, record, session, strike, verdict

T = "t0"
STORED = sorted(Path(__file__).parents[1].glob("regressions/*.json"))


def plan(*steps: Begin | End | Read | Fork | Finish, **lifecycles: Lifecycle) -> Plan:
    return Plan(variant=Variant(name="any"), steps=steps, lifecycles=lifecycles)


def test_an_actor_that_begins_makes_requests() -> None:
    assert plan(Begin(T), Read(T), End(T)).lifecycle(T) == "request"


def test_an_actor_that_begins_nothing_is_a_command_or_a_thread() -> None:
    both = plan(Read(T), Read("t1"))
    assert (both.lifecycle(T), both.lifecycle("t1")) == ("command", "thread")


def test_a_forked_actor_is_what_its_parent_is() -> None:
    assert plan(Begin(T), Fork(T), Read("c0.t0")).lifecycle("c0.t0") == "request"
    assert plan(Read(T), Fork(T), Begin("c0.t0")).lifecycle("c0.t0") == "command"


def test_what_the_plan_says_comes_first() -> None:
    assert plan(Begin(T), t0="stream").lifecycle(T) == "stream"


@pytest.mark.parametrize("lifecycle", TELLS)
def test_what_django_is_told(lifecycle: Lifecycle) -> None:
    told = plan(t0=lifecycle)
    assert (told.tells(Begin(T)), told.tells(End(T))) == TELLS[lifecycle]
    assert told.tells(Finish(T)) == "request_finished"
    assert told.tells(Read(T)) == ""


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_plan_without_lifecycles_is_about_requests(path: Path) -> None:
    stored = decode_plan(path.read_bytes(), path.name)
    if not stored.lifecycles:
        assert {stored.lifecycle(actor) for actor in stored.actors()} == {"request"}
        assert b'"lifecycles"' not in encode(stored)


LOST_IN_COMMAND = (ok(Read(T), on="1@a"), strike("terminate", "1@a"), lost(Read(T)))


def test_a_command_that_stays_dead_does_not_recover() -> None:
    assert verdict("recovers", record(*LOST_IN_COMMAND, lost(Read(T)))) == "broken"


def test_a_command_that_works_again_does() -> None:
    assert verdict("recovers", record(*LOST_IN_COMMAND, ok(Read(T), on="2@b"))) == "kept"


def test_a_block_of_a_command_is_one_unit() -> None:
    told = record(ok(Enter(T)), ok(Write(T), on="1@a"), ok(Leave(T)), ok(Read(T), on="1@a"))
    assert [[call.f for call in unit.calls] for unit in Trace(told).requests] == [["enter", "write", "leave"], ["read"]]


def test_a_stale_session_in_a_command() -> None:
    idle = (ok(Read(T), on="1@a"), strike("terminate", "1@a"))
    assert verdict("replaces-stale", record(*idle, lost(Read(T)))) == "broken"
    assert verdict("replaces-stale", record(*idle, ok(Read(T), on="2@b"))) == "kept"


def held(*names: str, at: str = "final") -> Line:
    return census(*(session(name) for name in names), at=at)


def test_threads_of_an_executor_that_keep_their_sessions() -> None:
    handed = (ok(Begin(T)), ok(Read("t1"), on="1@a"), ok(Read("t2"), on="2@b"), ok(Read("t3"), on="3@c"), ok(End(T)))
    assert verdict("bounded-sessions", record(*handed, held("1@a", "2@b", "3@c"))) == "broken"
    assert verdict("bounded-sessions", record(*handed, held("1@a", "2@b"))) == "kept"


def test_a_stream_is_in_flight_until_its_end_is_signalled() -> None:
    streams: dict[str, Lifecycle] = {T: "stream", "t1": "stream"}
    both = (*asks(T, "1@a"), *asks("t1", "2@b"), held("1@a", "2@b"))
    assert verdict("bounded-sessions", record(*both, lifecycles=streams)) == "kept"
    ended = (*asks(T, "1@a"), ok(Finish(T)), *asks("t1", "2@b"), held("1@a", "2@b"))
    assert verdict("bounded-sessions", record(*ended, lifecycles=streams)) == "broken"


def in_transaction() -> Line:
    return census(session("1@a", "idle in transaction", xact=True))


def test_nothing_tells_that_the_transaction_of_a_command_is_to_end() -> None:
    by_hand = (ok(Begin(T)), ok(Sql(T, "BEGIN")), ok(Read(T), on="1@a"), ok(End(T)), in_transaction())
    command: dict[str, Lifecycle] = {T: "command"}
    task: dict[str, Lifecycle] = {T: "task-after"}
    assert verdict("idle-after-close", record(*by_hand, lifecycles=command)) == "unknown"
    assert verdict("idle-after-close", record(*by_hand, lifecycles=task)) == "broken"


def test_a_block_that_a_command_has_left_is_over() -> None:
    block = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), ok(Leave(T)), ok(End(T)), in_transaction())
    assert verdict("idle-after-close", record(*block, lifecycles={T: "command"})) == "broken"


def looks(mark: str, on: str = "1@a") -> Line:
    return ok(Look(T), on=on, mark=mark)


SETS = ok(Sql(T, LEAVE["SET"][0]))


def test_what_a_command_has_set_stays_until_it_closes() -> None:
    command: dict[str, Lifecycle] = {T: "command"}
    one = (ok(Begin(T)), looks(""), SETS, ok(End(T)))
    then = (ok(Begin(T)), looks("left"), ok(End(T)))
    assert verdict("clean-session", record(*one, *then, lifecycles=command)) == "unknown"
    closed = (ok(Begin(T)), looks(""), SETS, ok(Close(T)), ok(End(T)))
    assert verdict("clean-session", record(*closed, *then, lifecycles=command)) == "broken"
    assert verdict("clean-session", record(*one, *then, lifecycles={T: "task-before"})) == "broken"


def test_work_that_a_command_leaves_pending_is_not_closed() -> None:
    pending = (ok(Begin(T)), Line(Autocommit(T), "ok", {"on": False}), ok(Write(T), on="1@a", xid=1), ok(End(T)))
    outcomes = {
        lifecycle: Trace(record(*pending, lifecycles={T: lifecycle})).units[0].outcome
        for lifecycle in ("request", "command", "task-after")
    }
    assert outcomes == {"request": "closed", "command": "open", "task-after": "closed"}


def test_plans_that_differ_only_in_their_lifecycles_are_two_cases() -> None:
    stock = Variant(name="stock")
    promise = PROMISES.get("idle-after-close")
    cases = gather(stock, Traits(), [promise], frozenset({"terminate", "proxy"})).cases
    lifecycles = [tuple(case.plan.lifecycles.values()) for case in cases if case.plan.title == "a query, then atomic()"]
    assert sorted(lifecycles) == sorted((each,) for each in MOMENTS)


def test_a_request_that_loses_its_begin_is_still_a_request() -> None:
    steps = (Begin(T), Read(T), End(T), Begin(T), Read(T), End(T))
    whole = Plan(variant=Variant(name="any"), steps=steps)
    seen: list[str] = []

    def run_plan(tried: Plan) -> tuple[str, ...]:
        seen.append(tried.lifecycle(T))
        return ("recovers",) if sum(isinstance(step, Read) for step in tried.steps) == 2 else ()

    found = shrink(whole, run_plan, promise="recovers")
    assert set(seen) == {"request"}
    assert found.plan.steps == (Read(T), Read(T))
    assert found.plan.lifecycles == {T: "request"}


def test_a_block_that_a_command_never_leaves_stays_open() -> None:
    """Django hears of no end that would undo it, so what fails later has a reason."""
    left = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), ok(End(T), never_left=1))
    fails = (ok(Begin(T)), lost(Read(T)), ok(End(T)))
    told = (*asks(T, "1@a"), strike("terminate", "1@a"), *left, *fails)
    as_request, as_command = (record(*told, lifecycles={T: each}) for each in ("request", "command"))
    assert [Trace(as_request).requests[-1].ordinary, Trace(as_command).requests[-1].ordinary] == [True, False]
    bare = (ok(Enter(T)), ok(Write(T), on="1@a"), ok(End(T), never_left=1), ok(Close(T)), lost(Read(T)))
    assert [each.tidy for each in Trace(record(*bare, lifecycles={T: "command"})).requests] == [True, False, False]


def test_a_block_stays_open_until_django_is_told_of_an_end() -> None:
    left = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), ok(End(T), never_left=1))
    two = (*left, *asks(T, "1@a"), *asks(T, "1@a"))

    def tidy(lifecycle: Lifecycle) -> list[bool]:
        return [each.tidy for each in Trace(record(*two, lifecycles={T: lifecycle})).requests]

    assert tidy("request") == [True, True, True]
    assert tidy("command") == [True, False, False]
    assert tidy("task-before") == [True, True, True], "the next beginning is told"
    stream = [
        each.tidy for each in Trace(record(*left, ok(Finish(T)), *asks(T, "1@a"), lifecycles={T: "stream"})).requests
    ]
    assert stream == [True, True]
