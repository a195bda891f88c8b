from __future__ import annotations

import msgspec

from lab.records.plan import Begin, End, Fail, Read, Stop
from lab.records.variant import Traits, Variant
from unit.histories import KEEPS, asks, census, lost, ok, record, refused, session, strike, verdict

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
