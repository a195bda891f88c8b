from __future__ import annotations

from lab.records.plan import Begin, End, Enter, Read, Write
from lab.records.variant import Traits, Variant
from unit.histories import KEEPS, asks, finding, lost, ok, record, strike, verdict

REPLACES = "replaces-stale"
T = "t0"
STALE = (*asks(T, "1@a"), strike("sever-fin", "1@a"))
GUESSED = Traits(overrides=("close",))


def test_the_next_request_gets_a_new_session() -> None:
    assert verdict(REPLACES, record(*STALE, *asks(T, "2@b"))) == "kept"


def test_the_next_request_gets_an_error() -> None:
    told = finding(REPLACES, record(*STALE, ok(Begin(T)), lost(Read(T)), ok(End(T))))
    assert (told.verdict, told.steps) == ("broken", (5,))


def test_an_error_at_atomic_counts() -> None:
    block = (ok(Begin(T)), lost(Enter(T)), ok(End(T)))
    assert verdict(REPLACES, record(*STALE, *block)) == "broken"


def test_a_later_request_that_meets_another_stale_session_counts() -> None:
    two = (*asks(T, "1@a"), *asks("t1", "2@b"), strike("terminate", "1@a", "2@b"))
    late = (ok(Begin("t1")), ok(Enter("t1")), lost(Write("t1")), ok(End("t1")))
    assert verdict(REPLACES, record(*two, *asks(T, "3@c"), *late)) == "broken"


def test_a_session_in_use_is_a_matter_for_recovers() -> None:
    struck = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("sever-fin", "1@a"), lost(Read(T)), ok(End(T)))
    assert verdict(REPLACES, record(*struck, *asks(T, "2@b"))) == "unknown"


def test_nothing_died_or_nobody_asked_afterwards() -> None:
    assert verdict(REPLACES, record(*asks(T, "1@a"), *asks(T, "1@a"))) == "unknown"
    assert verdict(REPLACES, record(*STALE)) == "unknown"


def test_who_fails_without_a_fault_proves_nothing_with_one() -> None:
    refuses = (ok(Begin("t1")), lost(Read("t1")), ok(End("t1")))
    assert verdict(REPLACES, record(*refuses, *STALE, *refuses)) == "unknown"


def test_where_nothing_is_kept_it_does_not_apply() -> None:
    for outside in (None, False, True):  # a session that only a command keeps is the matter of recovers
        seen = Traits(kept_outside=outside)
        assert verdict(REPLACES, record(*STALE, variant=Variant(name="per request"), traits=seen)) == "n/a"


def test_an_engine_that_was_seen_to_keep_nothing() -> None:
    told = (*asks(T, "1@a"), strike("sever-fin", landed=False), *asks(T, "2@b"))
    guessed = record(*told, variant=Variant(name="own close"), traits=GUESSED, void="not seen to land: sever-fin")
    stated = record(*told, variant=KEEPS, traits=GUESSED, void="not seen to land: sever-fin")
    assert verdict(REPLACES, guessed) == "n/a"
    assert verdict(REPLACES, stated) == "unknown"
