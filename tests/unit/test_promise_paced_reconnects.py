from __future__ import annotations

import pytest

from lab.records.plan import Begin, End, Read
from lab.records.variant import Traits
from unit.histories import Line, asks, begins, census, heal, lost, ok, record, returns, skipped, slow, strike, verdict

PACED = "paced-reconnects"
T = "t0"
FAILS = (ok(Begin(T)), lost(Read(T)), ok(End(T)))


def after(connects: int) -> Line:
    return census(at="heal", connects=connects)


@pytest.mark.parametrize("kind", ["reject", "lock-out", "fill-slots", "cut-first-answer"])
def test_few_attempts_and_a_storm(kind: str) -> None:
    begun = (*asks(T, "1@a"), census(connects=1), strike(kind), *FAILS)
    assert verdict(PACED, record(*begun, after(4), heal())) == "kept"
    assert verdict(PACED, record(*begun, after(5), heal())) == "broken"


def test_a_pool_replaces_what_it_had() -> None:
    begun = (census(connects=4), strike("reject", "1@a", "2@b", "3@c", "4@d"), *FAILS)
    assert verdict(PACED, record(*begun, after(11), heal(), traits=Traits(pool_max=4))) == "kept"
    assert verdict(PACED, record(*begun, after(12), heal(), traits=Traits(pool_max=4))) == "broken"


def test_an_engine_that_opens_sessions_ahead_may_try_to_open_as_many() -> None:
    """Where no look at how many there are was a whole one, more than would do are no accusation."""
    five = (census(connects=0), strike("cut-first-answer"), *FAILS)
    for traits, most, beyond in (
        (Traits(levels=(5, 6)), 8, "broken"),
        (Traits(uncounted=True, keeping="the machine was held up"), 3, "unknown"),
    ):
        assert verdict(PACED, record(*five, after(most), heal(), traits=traits)) == "kept"
        assert verdict(PACED, record(*five, after(most + 1), heal(), traits=traits)) == beyond


def test_more_requests_may_try_more_often() -> None:
    assert verdict(PACED, record(strike("reject"), *FAILS, *FAILS, after(6), heal())) == "kept"
    assert verdict(PACED, record(strike("reject"), *FAILS, *FAILS, after(7), heal())) == "broken"


def test_what_the_application_tries_again_is_its_own() -> None:
    tries = (ok(Begin(T)), *(lost(Read(T, swallow=True)) for _ in range(5)), ok(End(T)))
    assert verdict(PACED, record(strike("reject"), *tries, after(5), heal())) == "kept"


def test_nobody_tried_or_nobody_counted() -> None:
    assert verdict(PACED, record(strike("reject"), *FAILS, after(0), heal())) == "unknown"
    assert verdict(PACED, record(strike("reject"), *FAILS, after(-1), heal())) == "unknown"
    assert verdict(PACED, record(*asks(T, "1@a"), after(99))) == "unknown"


def test_attempts_before_and_after_do_not_count() -> None:
    skips = (ok(Begin(T)), lost(Read(T)), skipped(Read(T)), ok(End(T)))
    told = (census(connects=50), strike("reject"), *skips, after(51), heal(), *asks(T, "1@a"), after(90))
    assert verdict(PACED, record(*told)) == "kept"


def test_a_session_of_before_that_is_counted_later_is_no_attempt() -> None:
    within = (ok(Begin(T)), ok(Read(T), "1@a"), strike("reject", "1@a"), lost(Read(T)), ok(End(T)))
    assert verdict(PACED, record(*within, after(5), heal())) == "kept"
    assert verdict(PACED, record(*within, after(6), heal())) == "broken"


@pytest.mark.parametrize(("attempts", "expected"), [(1, "kept"), (3, "kept"), (4, "broken"), (40, "broken")])
def test_where_nothing_listens_the_call_itself_counts(attempts: int, expected: str) -> None:
    tries = Line(Read(T), "info", {"attempts": attempts, "attempts_failed": attempts}, lost(Read(T)).chain)
    begun = (*asks(T, "1@a"), strike("refuse", "1@a"), ok(Begin(T)))
    assert verdict(PACED, record(*begun, tries, heal(), ok(End(T)))) == expected
    calmly = slow(tries, attempts / 3)
    assert verdict(PACED, record(*begun, calmly, heal(), ok(End(T)))) == "kept"


def test_where_nothing_listens_and_no_call_connects_itself_nothing_is_said() -> None:
    assert verdict(PACED, record(strike("refuse"), *FAILS, heal())) == "n/a"


def test_what_threads_of_the_engines_own_meet_after_the_heal_is_no_part_of_it() -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("refuse", "1@a"), heal(), ok(Read(T), on="2@b"), ok(End(T)))
    later = (*told[:-2], ok(Read(T), on="2@b", engine_attempts=2), ok(End(T), engine_attempts=2))
    again = (strike("lock-out"), ok(Begin(T)), ok(Read(T), on="3@c", engine_attempts=90), ok(End(T)), heal())
    assert verdict(PACED, record(*later, *again)) == "kept"


@pytest.mark.parametrize(("attempts", "expected"), [(2, "kept"), (4, "kept"), (5, "broken"), (40, "broken")])
def test_where_nothing_listens_threads_of_the_engines_own_count(attempts: int, expected: str) -> None:
    before = (ok(Begin(T)), ok(Read(T), on="1@a", engine_attempts=5), strike("refuse", "1@a"))
    told = (*before, heal(), ok(Read(T), on="2@b", engine_attempts=5 + attempts), ok(End(T)))
    assert verdict(PACED, record(*told)) == expected


def test_a_storm_that_ends_with_the_heal_was_one() -> None:
    storm = Line(Read(T), "ok", {"session": "2@b", "attempts": 90, "attempts_failed": 89})
    told = (strike("refuse"), ok(Begin(T)), begins(Read(T)), heal(), returns(T, on="2@b", attempts=90), ok(End(T)))
    assert verdict(PACED, record(*told)) == "broken"
    assert verdict(PACED, record(strike("reject"), heal(), ok(Begin(T)), storm, ok(End(T)))) == "unknown"
