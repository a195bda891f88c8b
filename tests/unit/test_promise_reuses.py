from __future__ import annotations

import msgspec

from lab.records.plan import Begin, End, Fail, Fork, Read, Stop
from lab.records.variant import Traits, Variant
from unit.histories import (
    KEEPS,
    asks,
    census,
    elapses,
    finding,
    lost,
    ok,
    record,
    refused,
    session,
    skipped,
    strike,
    verdict,
)

REUSES = "reuses"
T = "t0"


def test_one_session_for_all_requests() -> None:
    assert verdict(REUSES, record(*asks(T, "1@a"), *asks(T, "1@a"))) == "kept"


def test_a_session_for_every_request() -> None:
    assert verdict(REUSES, record(*asks(T, "1@a"), *asks(T, "2@b"))) == "broken"


def test_each_actor_has_its_own() -> None:
    turns = (*asks(T, "1@a"), *asks("t1", "2@b"), *asks(T, "1@a"), *asks("t1", "2@b"))
    assert verdict(REUSES, record(*turns)) == "kept"
    swapped = (*asks(T, "1@a"), *asks("t1", "2@b"), *asks(T, "2@b"), *asks("t1", "1@a"))
    assert verdict(REUSES, record(*swapped)) == "broken"


def test_a_pool_may_rotate_within_its_size() -> None:
    turns = (*asks(T, "1@a"), *asks(T, "2@b"), *asks(T, "1@a"))
    assert verdict(REUSES, record(*turns, traits=Traits(pool_max=2))) == "kept"
    assert verdict(REUSES, record(*turns, *asks(T, "3@c"), traits=Traits(pool_max=2))) == "broken"
    stated = msgspec.structs.replace(KEEPS, maximum=2)
    assert verdict(REUSES, record(*turns, variant=stated)) == "kept"
    assert verdict(REUSES, record(*turns, *asks(T, "3@c"), variant=stated)) == "broken"
    ended = (ok(Stop("t1")), *asks(T, "3@c"))
    assert verdict(REUSES, record(*turns, *asks("t1", "2@b"), *ended, variant=stated)) == "kept", "given up with t1"


def test_a_spare_session_is_no_breach_but_one_for_each_request_is() -> None:
    spare = (*asks(T, "1@a"), *asks(T, "1@a"), census(session("1@a"), session("2@b")))
    assert verdict(REUSES, record(*spare)) == "kept"
    assert verdict(REUSES, record(*spare, census(session("1@a"), session("2@b"), session("3@c")))) == "broken"


def test_a_fault_and_company_explain_a_new_session() -> None:
    assert verdict(REUSES, record(*asks(T, "1@a"), strike("sever-fin", "1@a"), *asks(T, "2@b"))) == "unknown"
    beside = (ok(Begin(T)), ok(Read(T), on="1@a"), *asks("t1", "2@b"), ok(End(T)), *asks(T, "1@a"))
    assert verdict(REUSES, record(*beside)) == "unknown"


def test_one_request_says_nothing() -> None:
    assert verdict(REUSES, record(*asks(T, "1@a"))) == "unknown"


def test_where_nothing_is_kept_it_does_not_apply() -> None:
    told = (*asks(T, "1@a"), *asks(T, "2@b"))
    assert verdict(REUSES, record(*told, variant=Variant(name="per request"))) == "n/a"
    own = Traits(overrides=("close",))
    assert verdict(REUSES, record(*told, variant=Variant(name="own close"), traits=own)) == "n/a"
    assert verdict(REUSES, record(*told, variant=KEEPS, traits=own)) == "broken"


def test_an_error_without_any_reason_after_a_request_that_was_served() -> None:
    error = (ok(Begin(T)), lost(Read(T)), ok(End(T)))
    assert verdict(REUSES, record(*asks(T, "1@a"), *error, *asks(T, "2@b"))) == "broken"
    assert verdict(REUSES, record(*asks(T, "1@a"), strike("sever-fin", "1@a"), *error, *asks(T, "2@b"))) == "unknown"
    assert verdict(REUSES, record(*error, *asks(T, "1@a"), *asks(T, "1@a"))) == "unknown"
    odd = (ok(Begin(T)), refused(Fail(T)), ok(End(T)))
    assert verdict(REUSES, record(*asks(T, "1@a"), *odd, *error)) == "unknown"


def test_a_pool_of_unknown_size_may_rotate_as_far_as_it_was_seen_to() -> None:
    turns = (*asks(T, "1@a"), *asks(T, "2@b"), *asks(T, "3@c"), *asks(T, "1@a"))
    assert verdict(REUSES, record(*turns)) == "broken"
    assert verdict(REUSES, record(*turns, traits=Traits(levels=(3, 4, 5, 6)))) == "kept"
    assert verdict(REUSES, record(*turns, *asks(T, "4@d"), traits=Traits(levels=(3, 4, 5, 6)))) == "broken"


def test_a_pool_that_was_seen_to_keep_nothing_need_not_reuse_it() -> None:
    turns, own = (*asks(T, "1@a"), *asks(T, "2@b")), Variant(name="own")
    assert verdict(REUSES, record(*turns, variant=own, traits=Traits(pool_max=4, kept=0))) == "n/a"
    assert verdict(REUSES, record(*turns, variant=own, traits=Traits(pool_max=4, kept=2))) == "kept"
    assert verdict(REUSES, record(*turns, variant=own, traits=Traits(pool_max=1, kept=1))) == "broken"
    assert verdict(REUSES, record(*turns, variant=own, traits=Traits(pool_max=4))) == "kept"


def test_more_sessions_than_would_do_are_too_many_though_each_was_used_again() -> None:
    """By their number, where no actor can be told to have one of its own."""
    two = Traits(levels=(2, 3, 4, 5))
    turns = (*asks(T, "1@a"), *asks(T, "2@b"), *asks(T, "3@c"))
    assert finding(REUSES, record(*turns, traits=two)).summary == (
        "3 requests, one at a time, used 3 sessions where 2 would do"
    )


def test_what_explains_a_new_session() -> None:
    """Another alias, a fork, a thread of which Django hears no end beside another actor."""
    again = (*asks(T, "1@a"), *asks(T, "2@b"))
    other = (ok(Begin(T)), ok(Read(T, alias="twin"), on="2@b"), ok(End(T)))
    assert verdict(REUSES, record(*asks(T, "1@a"), *other, *asks(T, "3@c"))) == "unknown"
    unasked = (ok(Begin(T)), skipped(Read(T, alias="twin")), ok(End(T)))
    assert verdict(REUSES, record(*unasked, *again)) == "broken", "a step that was skipped has asked nothing"
    assert verdict(REUSES, record(*asks(T, "1@a"), ok(Fork(T), child="c0"), *asks(T, "2@b"))) == "unknown"
    thread = (ok(Read("t1"), on="2@b"), ok(Read("t1"), on="2@b"))
    assert verdict(REUSES, record(*thread, *again)) == "unknown"
    command = (ok(Read(T), on="1@a"), ok(Read(T), on="2@b"))
    assert verdict(REUSES, record(*command)) == "broken", "one actor alone has no other beside it"


def test_sessions_of_others_and_those_after_the_end_are_not_counted() -> None:
    turns = (*asks(T, "1@a"), *asks("t1", "2@b"), *asks(T, "1@a"), *asks("t1", "2@b"))
    three = [session(name) for name in ("1@a", "2@b", "3@c")]
    late = census(*three, session("4@d"), session("5@e"), at="after exit")
    assert verdict(REUSES, record(*turns, late)) == "kept"


def test_a_configured_number_leaves_no_room_for_a_spare() -> None:
    turns, opened = (*asks(T, "1@a"), *asks(T, "1@a")), census(session("1@a"), session("2@b"))
    assert verdict(REUSES, record(*turns, opened, traits=Traits(pool_max=1))) == "broken"
    assert verdict(REUSES, record(*turns, opened)) == "kept"


def test_an_error_is_of_what_is_kept_only_where_something_had_been_served() -> None:
    """And not where threads use what is made for one of them."""
    error = (ok(Begin("t1")), lost(Read("t1")), ok(End("t1")))
    told = (*asks(T, "1@a"), *error)
    one = msgspec.structs.replace(KEEPS, threads=1)
    assert [verdict(REUSES, record(*told)), verdict(REUSES, record(*told, variant=one))] == ["broken", "unknown"]
    alone = (ok(Begin(T)), lost(Read(T)), ok(End(T)))
    assert verdict(REUSES, record(*asks(T, "1@a"), *alone, variant=one)) == "broken"
    nothing_asked = (ok(Begin(T)), ok(End(T)))
    assert verdict(REUSES, record(*nothing_asked, *alone, *asks(T, "1@a"), *asks(T, "1@a"))) == "unknown"


def test_what_could_not_be_counted_accuses_nothing_but_an_error() -> None:
    """Each look at what is kept was void: how many sessions there may be is not known."""
    held_up = Traits(uncounted=True, keeping="the machine was held up")
    turns = (*asks(T, "1@a"), *asks(T, "2@b"), *asks(T, "1@a"))
    assert [verdict(REUSES, record(*turns)), verdict(REUSES, record(*turns, traits=held_up))] == ["broken", "unknown"]
    stated = msgspec.structs.replace(KEEPS, maximum=1)
    assert verdict(REUSES, record(*turns, traits=held_up, variant=stated)) == "broken"
    error = (*asks(T, "1@a"), ok(Begin(T)), lost(Read(T)), ok(End(T)))
    assert verdict(REUSES, record(*error, traits=held_up)) == "broken"


def test_time_that_passed_explains_a_new_session() -> None:
    told = (*asks("t0", on="1@a"), *asks("t0", on="2@b"))
    assert verdict("reuses", record(*told)) == "broken"
    assert verdict("reuses", record(*told[:3], elapses(), *told[3:])) == "unknown"
