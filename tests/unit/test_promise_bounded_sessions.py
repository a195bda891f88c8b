from __future__ import annotations

import msgspec
import pytest

from lab.judging import loss
from lab.promise import PROMISES
from lab.promises.bounded_sessions import ERRORS, MOST, REPLACED
from lab.records.history import DIED
from lab.records.plan import Begin, Close, End, Exit, Fail, Fork, Look, Read, Stop
from lab.records.record import Record
from lab.records.variant import Traits
from unit.histories import (
    KEEPS,
    Line,
    asks,
    census,
    finding,
    heal,
    lost,
    ok,
    record,
    session,
    skipped,
    slow,
    strike,
    verdict,
)

BOUNDED = "bounded-sessions"
T = "t0"


def held(*names: str, at: str = "end") -> Line:
    return census(*(session(name) for name in names), at=at)


def test_one_request_puts_nothing_at_stake() -> None:
    assert verdict(BOUNDED, record(*asks(T, "1@a"), held("1@a", at="final"))) == "unknown"


def test_one_at_a_time_on_one_session() -> None:
    assert verdict(BOUNDED, record(*asks(T, "1@a"), *asks("t1", "1@a"), held("1@a", at="final"))) == "kept"


def test_one_at_a_time_on_two() -> None:
    assert verdict(BOUNDED, record(*asks(T, "1@a"), *asks("t1", "2@b"), held("1@a", "2@b", at="final"))) == "broken"


def test_two_at_once_may_have_two() -> None:
    together = (
        ok(Begin(T)),
        ok(Begin("t1")),
        ok(Read(T), on="1@a"),
        ok(Read("t1"), on="2@b"),
        ok(End("t1")),
        ok(End(T)),
    )
    assert verdict(BOUNDED, record(*together, held("1@a", "2@b", at="final"))) == "kept"
    assert verdict(BOUNDED, record(*together, held("1@a", "2@b", "3@c", at="final"))) == "broken"


def test_a_pool_has_its_maximum() -> None:
    told, pool = (*asks(T, "1@a"), *asks(T, "2@b")), Traits(pool_max=2)
    assert verdict(BOUNDED, record(*told, held("1@a", "2@b", at="final"), traits=pool)) == "kept"
    assert verdict(BOUNDED, record(*told, held("1@a", "2@b", "3@c", at="final"), traits=pool)) == "broken"


def test_what_is_stated_goes_before_what_was_seen_and_before_a_pool() -> None:
    told = (*asks(T, "1@a"), *asks(T, "2@b"))
    stated = msgspec.structs.replace(KEEPS, maximum=2)
    for traits in (Traits(), Traits(levels=(5,)), Traits(pool_max=5)):
        kept = finding(BOUNDED, record(*told, held("1@a", "2@b", at="final"), variant=stated, traits=traits))
        assert (kept.verdict, "2 are allowed: the stated maximum" in kept.summary) == ("kept", True)
        three = record(*told, held("1@a", "2@b", "3@c", at="final"), variant=stated, traits=traits)
        assert verdict(BOUNDED, three) == "broken"


def test_it_says_by_what_so_many_are_allowed() -> None:
    def why(traits: Traits, alias: str = "default") -> str:
        two = (ok(Begin("t1")), ok(Read("t1", alias=alias), on="2@b"), ok(End("t1")))
        return finding(BOUNDED, record(*asks(T, "1@a"), *two, held("1@a", at="final"), traits=traits)).summary

    assert why(Traits()) == "never more than 1 session, 1 is allowed: one for each request in flight"
    assert "2 are allowed: one for each request in flight, for each of 2 aliases" in why(Traits(), "twin")
    assert "3 are allowed: as many as the ENGINE had for so many requests at once before" in why(Traits(levels=(3,)))
    assert "4 are allowed: its pool's maximum for each process and alias" in why(Traits(pool_max=4))


def test_what_is_there_after_the_end_and_an_alias_that_was_not_used_count_for_nothing() -> None:
    told = (*asks(T, "1@a"), *asks(T, "1@a"))
    assert verdict(BOUNDED, record(*told, held("1@a", at="final"), held("1@a", "2@b", at="after exit"))) == "kept"
    unused = (ok(Begin(T)), ok(Read(T), on="1@a"), skipped(Read(T, alias="twin")), ok(End(T)))
    used = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(Read(T, alias="twin"), on="2@b"), ok(End(T)))
    two = (*asks(T, "1@a"), held("1@a", "2@b", at="final"))
    assert [verdict(BOUNDED, record(*first, *two)) for first in (unused, used)] == ["broken", "kept"]


def test_its_plans_lose_a_session_more_often_than_an_engine_may_have_any() -> None:
    """What loses one each time is then seen; but no more often than MOST."""
    bounded = PROMISES.get(BOUNDED)

    def errors(traits: Traits, maximum: int = 0) -> int:
        variant = msgspec.structs.replace(KEEPS, maximum=maximum)
        (plan,) = [each for each in bounded.plans(variant, traits) if each.moment == "a statement's error"]
        return sum(isinstance(step, Fail) for step in plan.steps)

    found = [errors(Traits()), errors(Traits(levels=(9,))), errors(Traits(), 5), errors(Traits(), 99)]
    assert found == [ERRORS, 9, ERRORS, MOST]


def test_a_closed_session_may_be_listed_for_a_while() -> None:
    passing = (*asks(T, "1@a"), held("1@a"), *asks(T, "2@b"), held("1@a", "2@b"), *asks(T, "2@b"), held("2@b"))
    assert verdict(BOUNDED, record(*passing, held("2@b", at="final"))) == "kept"
    lists = [held("1@a", "2@b")] * 3
    assert verdict(BOUNDED, record(*asks(T, "1@a"), *asks(T, "2@b"), *lists, held("2@b", at="final"))) == "broken"


def test_a_replaced_session_is_left_behind() -> None:
    told = (*asks(T, "1@a"), strike("sever-fin"), *asks(T, "2@b"))
    assert verdict(BOUNDED, record(*told, held("2@b", at="final"))) == "kept"
    assert verdict(BOUNDED, record(*told, held("1@a", "2@b", at="final"))) == "broken"


@pytest.mark.parametrize(("threads", "expected"), [(1, "kept"), (6, "kept"), (7, "broken")])
def test_a_thread_is_left_of_each_session_that_was_lost(threads: int, expected: str) -> None:
    lines: list[Line] = [ok(Begin(T)), ok(Look(T), on="0@s", threads=1), ok(End(T))]
    for number in range(REPLACED):
        lines += [strike("terminate", f"{number}@s"), *asks(T, f"{number + 1}@s")]
    lines += [ok(Begin(T)), ok(Look(T), on=f"{REPLACED}@s", threads=threads), ok(End(T))]
    assert verdict(BOUNDED, record(*lines, held(f"{REPLACED}@s", at="final"))) == expected


def test_a_closed_session_is_left_behind() -> None:
    closed = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(Close(T)), ok(Read(T), on="2@b"), ok(End(T)))
    assert verdict(BOUNDED, record(*closed, held("1@a", "2@b", at="final"))) == "broken"


def test_a_thread_that_ended_has_no_request_in_flight() -> None:
    stopped = (ok(Begin("t1")), ok(Read("t1"), on="1@a"), ok(Stop("t1")))
    assert verdict(BOUNDED, record(*stopped, held(at="stop"), *asks(T, "2@b"), held("2@b", at="final"))) == "kept"
    left = (held("1@a", at="stop"), *asks(T, "2@b"), held("1@a", "2@b", at="final"))
    assert verdict(BOUNDED, record(*stopped, *left)) == "broken"


def test_each_process_has_its_own() -> None:
    forked = (*asks(T, "1@a"), ok(Fork(T), child="c0"), *asks("c0.t0", "2@b"))
    assert verdict(BOUNDED, record(*forked, held("1@a", "2@b", at="final"))) == "kept"
    warm = (*asks(T, "1@a"), ok(Fork(T), child="c0"))
    assert verdict(BOUNDED, record(*warm, held("1@a", "2@b", at="final"), *asks(T, "1@a"))) == "kept"
    assert verdict(BOUNDED, record(*warm, held("1@a", "2@b", "3@c", at="final"), *asks(T, "1@a"))) == "broken"
    assert (
        verdict(BOUNDED, record(*warm, ok(Exit("c0.t0")), held("1@a", "2@b", at="final"), *asks(T, "1@a"))) == "broken"
    )


def test_nobody_is_counted_while_a_fault_is_on() -> None:
    silent = (strike("black-hole", "1@a"), *asks(T, "2@b"), held("1@a", "2@b", at="final"))
    assert verdict(BOUNDED, record(*asks(T, "1@a"), *silent)) == "unknown"


TIMED = loss.with_timers(KEEPS, server=True)


def half_open(*names: str, leg: str = "both", seconds: float = 5.0, timed: bool = True) -> Record:
    """Client and server lose each other for that long; these sessions are there at the end."""
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("blackout", "1@a", leg=leg), slow(lost(Read(T)), seconds))
    after = (ok(End(T)), heal(), *asks(T, "2@b"), held(*names, at="final"))
    return record(*told, *after, variant=TIMED if timed else loss.with_timers(KEEPS))


def test_half_open_session_is_left_behind() -> None:
    assert verdict(BOUNDED, half_open("2@b")) == "kept"
    assert verdict(BOUNDED, half_open("1@a", "2@b")) == "broken"


@pytest.mark.parametrize(
    "record",
    [
        half_open("1@a", "2@b", seconds=1.0),
        half_open("1@a", "2@b", leg="client"),
        half_open("1@a", "2@b", timed=False),
    ],
    ids=["too short", "between client and proxy", "without timers"],
)
def test_session_whose_server_could_not_know_is_not_the_backends_to_end(record: Record) -> None:
    assert verdict(BOUNDED, record) == "kept"


def test_timers_of_the_server_are_added_to_what_options_say() -> None:
    options = loss.with_timers(TIMED, server=True).options["options"]
    assert options == f"{loss.SERVER_TIMERS} {loss.SERVER_TIMERS}"
    assert loss.with_timers(KEEPS).options == {**KEEPS.options, **loss.TIMERS}


def test_a_killed_process_leaves_its_statement_behind() -> None:
    worker = (ok(Fork(T), child="c0"), ok(Begin("c0.t0")), Line(Read("c0.t0"), "info", chain=(DIED,)))
    later = (*asks(T, "1@a"), slow(ok(Begin(T)), 3.0), ok(End(T)))
    told = (*worker, strike("kill", process="c0"), *later)
    assert verdict(BOUNDED, record(*told, held("1@a", at="final"))) == "kept"
    assert verdict(BOUNDED, record(*told, held("1@a", "2@b", at="final"))) == "broken"
    soon = (*worker, strike("kill", process="c0"), *asks(T, "1@a"))
    assert verdict(BOUNDED, record(*soon, held("1@a", "2@b", at="final"))) == "kept"


def together(number: int) -> tuple[Line, ...]:
    """So many requests in flight at once, each on a session of its own."""
    actors = [f"t{each}" for each in range(number)]
    reads = (ok(Read(actor), on=f"{place}@s") for place, actor in enumerate(actors))
    return (*(ok(Begin(actor)) for actor in actors), *reads, *(ok(End(actor)) for actor in actors))


def open_at_end(number: int) -> Line:
    return held(*(f"{place}@s" for place in range(number)), at="final")


def test_a_pool_of_unknown_size_may_hold_as_many_as_it_was_seen_to() -> None:
    told, levels = (*asks(T, "0@s"), *asks(T, "1@s")), Traits(levels=(2, 3, 4, 5))
    assert verdict(BOUNDED, record(*told, open_at_end(2))) == "broken"
    assert verdict(BOUNDED, record(*told, open_at_end(2), traits=levels)) == "kept"
    assert verdict(BOUNDED, record(*told, open_at_end(3), traits=levels)) == "broken"


@pytest.mark.parametrize(
    ("levels", "in_flight", "most"),
    [
        pytest.param((3, 4, 5, 6), 1, 3, id="two spares, one request"),
        pytest.param((3, 4, 5, 6), 3, 5, id="two spares, three requests"),
        pytest.param((3, 4, 5, 6), 6, 8, id="two spares, more requests than were looked at"),
        pytest.param((5, 5, 5, 5), 4, 5, id="five that were opened at once"),
        pytest.param((3, 3, 3, 6), 4, 6, id="three more where none waits"),
        pytest.param((2, 4, 6, 8), 3, 6, id="two for each thread"),
        pytest.param((2, 4, 6, 8), 5, 10, id="two for each thread, more than were looked at"),
        pytest.param((3,), 2, 4, id="looked at with one request alone"),
        pytest.param((3, 3, 3, 4), 3, 3, id="grows for ever with two requests"),
        pytest.param((), 3, 3, id="no spares"),
    ],
)
def test_spares_are_kept_beside_those_in_use(levels: tuple[int, ...], in_flight: int, most: int) -> None:
    seen = Traits(levels=levels)
    told = (*together(in_flight), *asks(T, "0@s"))
    assert verdict(BOUNDED, record(*told, open_at_end(most), traits=seen)) == "kept"
    assert verdict(BOUNDED, record(*told, open_at_end(most + 1), traits=seen)) == "broken"


def test_spares_that_a_burst_has_left_may_stay() -> None:
    told = (*together(3), *asks(T, "0@s"), *asks(T, "1@s"))
    seen = Traits(levels=(3, 4, 5, 6))
    assert verdict(BOUNDED, record(*told, open_at_end(5), traits=seen)) == "kept"
    assert verdict(BOUNDED, record(*told, open_at_end(6), traits=seen)) == "broken"


def test_where_no_look_at_what_is_kept_was_a_whole_one_more_sessions_are_no_accusation() -> None:
    told, held_up = (*asks(T, "0@s"), *asks(T, "1@s")), Traits(uncounted=True, keeping="the machine was held up")
    assert verdict(BOUNDED, record(*told, open_at_end(1), traits=held_up)) == "kept"
    assert verdict(BOUNDED, record(*told, open_at_end(2), traits=held_up)) == "unknown"
    pool = msgspec.structs.replace(held_up, pool_max=2)
    assert verdict(BOUNDED, record(*told, open_at_end(2), traits=pool)) == "kept"
    assert verdict(BOUNDED, record(*told, open_at_end(3), traits=pool)) == "broken"


def test_each_process_has_spares_of_its_own() -> None:
    forked = (*asks(T, "0@s"), ok(Fork(T), child="c0"), *asks("c0.t0", "1@s"))
    seen = Traits(levels=(3, 4, 5, 6))
    assert verdict(BOUNDED, record(*forked, open_at_end(6), traits=seen)) == "kept"
    assert verdict(BOUNDED, record(*forked, open_at_end(7), traits=seen)) == "broken"


def test_what_outlives_the_first_process_is_left_behind() -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), lost(Read(T)), strike("kill", signal="TERM"))
    assert verdict(BOUNDED, record(*told, held(at="outlived"), fate="struck")) == "kept"
    assert verdict(BOUNDED, record(*told, held("1@a", at="outlived"), fate="struck")) == "broken"
    cut = (*told, strike("sever-fin", "1@a"), held("1@a", at="outlived"))
    assert verdict(BOUNDED, record(*cut, fate="struck")) == "kept"


def test_of_a_process_that_goes_on_when_it_is_told_to_stop_the_report_says_so() -> None:
    why = "the process was sent SIGTERM, which it catches, and goes on"
    told = record(*asks(T, "1@a"), strike("kill", landed=False), *asks(T, "1@a"), void="not seen to land: kill")
    (landing,) = told.landings
    goes_on = msgspec.structs.replace(told, landings=(msgspec.structs.replace(landing, nothing=True, evidence=why),))
    found = finding(BOUNDED, goes_on)
    assert (found.verdict, found.summary) == ("n/a", why)
    assert verdict(BOUNDED, told) == "unknown"
