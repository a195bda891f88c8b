from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lab.records.census import Row
from lab.records.plan import Begin, Close, End, Fail, FaultSpec, Inject, Look, Read, Sql, Use, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from unit.histories import (
    KEEPS,
    Line,
    begins,
    census,
    heal,
    lost,
    ok,
    raises,
    record,
    refused,
    returns,
    session,
    skipped,
    strike,
    verdict,
)

SEPARATE = "alias-separate"
T = "t0"
PLACES = {
    "default": {"database": "lab", "user": "lab_s00", "alias": "", "role": "lab_s00"},
    "zoned": {"database": "lab", "user": "lab_s00", "alias": "", "role": "lab_s00"},
    "kin": {"database": "lab", "user": "lab_s00", "alias": "kin", "role": "lab_s00"},
    "other": {"database": "lab2", "user": "lab_s00b", "alias": "other", "role": "lab_s00b"},
    "twin": {"database": "lab", "user": "lab_s00b", "alias": "twin", "role": "lab_other"},
}


def look(name: str, on: str, **other: Any) -> Line:
    return ok(Look(T, alias=name), on=on, **{**PLACES[name], "mark": "", **other})


def both(*lines: Line) -> Record:
    return record(ok(Begin(T)), *lines, ok(End(T)))


def test_one_alias_puts_nothing_at_stake() -> None:
    assert verdict(SEPARATE, both(look("default", "1@a"))) == "unknown"


def test_each_alias_in_its_own_place() -> None:
    assert verdict(SEPARATE, both(look("default", "1@a"), look("other", "2@b"), look("twin", "3@c"))) == "kept"


def test_one_session_for_two() -> None:
    assert verdict(SEPARATE, both(look("default", "1@a"), look("other", "1@a"))) == "broken"


def test_equal_aliases_share_no_session_at_the_same_time() -> None:
    mine, same = ok(Read(T), on="1@a"), ok(Read(T, alias="same"), on="1@a")
    assert verdict(SEPARATE, both(mine, same)) == "broken"
    assert verdict(SEPARATE, both(mine, ok(Read(T, alias="same"), on="2@b"))) == "kept"
    in_turn = (ok(Begin(T)), mine, ok(End(T)), ok(Begin(T)), same, ok(End(T)))
    assert verdict(SEPARATE, record(*in_turn)) == "kept"
    kin = (ok(Begin(T)), mine, ok(End(T)), ok(Begin(T)), ok(Read(T, alias="kin"), on="1@a"), ok(End(T)))
    assert verdict(SEPARATE, record(*kin)) == "broken"


def test_in_a_wrong_place() -> None:
    for wrong in ({"database": "lab"}, {"user": "lab_s00"}, {"alias": ""}):
        assert verdict(SEPARATE, both(look("default", "1@a"), look("other", "2@b", **wrong))) == "broken"
    assert verdict(SEPARATE, both(look("default", "1@a"), look("twin", "2@b", role="lab_s00b"))) == "broken"


def test_a_row_in_the_wrong_database() -> None:
    told = both(look("default", "1@a"), ok(Write(T, alias="other"), on="2@b", xid=7))
    right = msgspec.structs.replace(told, rows=(Row("run:2", "7", "2@b", "lab2"),))
    assert verdict(SEPARATE, right) == "kept"
    assert verdict(SEPARATE, msgspec.structs.replace(told, rows=(Row("run:2", "7", "2@b", "lab"),))) == "broken"


def test_what_one_has_set_the_other_sees() -> None:
    setting = (look("default", "1@a"), look("twin", "2@b"), ok(Sql(T, "SET lab.mark = 'left'")))
    assert verdict(SEPARATE, both(*setting, look("twin", "2@b"))) == "kept"
    assert verdict(SEPARATE, both(*setting, look("twin", "2@b", mark="left"))) == "broken"


def _on_other(line: Line) -> Line:
    assert isinstance(line.step, Inject)
    return Line(**{**line.__dict__, "step": msgspec.structs.replace(line.step, alias="other")})


def test_a_fault_on_one_is_felt_by_that_one_only() -> None:
    fault = _on_other(strike("sever-fin", "2@b"))
    begun = (look("default", "1@a"), look("other", "2@b"), fault, lost(Read(T, swallow=True, alias="other")))
    assert verdict(SEPARATE, both(*begun, look("default", "1@a"))) == "kept"
    assert verdict(SEPARATE, both(*begun, lost(Read(T)))) == "broken"
    assert verdict(SEPARATE, both(*begun, look("default", "9@z"))) == "broken"


@pytest.mark.parametrize(
    ("waits", "first", "expected"),
    [(True, "t1", "broken"), (True, "t0", "kept"), (False, "t1", "kept")],
)
def test_one_does_not_wait_for_another_ones_server(waits: bool, first: str, expected: str) -> None:
    """It went on no sooner than the thread that the fault had met; to be slow is not to wait."""
    both = (look("default", "1@a"), look("other", "2@b"), ok(End(T)), _on_other(strike("black-hole")))
    stuck = (ok(Begin("t1")), begins(Read("t1", alias="other"), waits=True))
    asked = (ok(Begin(T)), begins(Read(T), waits=waits))
    over = {"t0": (returns(T, on="1@a"), raises("t1")), "t1": (raises("t1"), returns(T, on="1@a"))}
    told = record(ok(Begin(T)), *both, *stuck, *asked, *over[first], heal(), ok(End(T)), ok(End("t1")))
    assert verdict(SEPARATE, told) == expected


@pytest.mark.parametrize(("first", "then"), [("Pacific/Chatham", "broken"), ("UTC", "kept")])
def test_one_that_differs_by_its_time_zone_alone(first: str, then: str) -> None:
    """Where no session of its own ever had the time zone, initialised judges that."""
    mine, zoned = look("default", "1@a", timezone="UTC"), look("zoned", "2@b", timezone=first)
    assert verdict(SEPARATE, both(mine, zoned)) == "kept"
    assert verdict(SEPARATE, both(zoned, mine, look("zoned", "3@c", timezone="UTC"))) == then
    theirs = look("default", "1@a", timezone="Pacific/Chatham")
    assert verdict(SEPARATE, both(theirs, ok(Read(T, alias="kin"), on="2@b"))) == "broken"


def test_a_fault_on_all_says_nothing_about_either() -> None:
    begun = (look("default", "1@a"), look("other", "2@b"), strike("sever-fin", "1@a", "2@b"))
    assert verdict(SEPARATE, both(*begun, lost(Read(T)))) == "kept"


@pytest.mark.parametrize(("wrong", "expected"), [({}, "kept"), ({"alias": ""}, "broken"), ({"user": "b"}, "broken")])
def test_one_that_differs_by_its_options_alone(wrong: dict[str, str], expected: str) -> None:
    assert verdict(SEPARATE, both(look("default", "1@a"), look("kin", "2@b", **wrong))) == expected


def test_a_session_that_is_there_yet_was_cost_by_no_fault() -> None:
    """Another one is used now: sessions are handed out in turn, or the old one is gone."""
    first = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(Read(T, alias="twin"), on="2@b"), ok(End(T)))
    struck = (*first, strike_on("twin"), ok(Begin(T)), ok(Read(T), on="3@c"), ok(End(T)))
    turns = record(*struck, census(session("1@a"), session("3@c")), variant=KEEPS)
    gone = record(*struck, census(session("3@c")), variant=KEEPS)
    assert (verdict(SEPARATE, turns), verdict(SEPARATE, gone)) == ("kept", "broken")


def test_who_keeps_nothing_or_a_pool_loses_no_session_to_a_fault() -> None:
    """And a request that closes by hand, or meets an error, has a reason of its own to have another one."""
    first = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(Read(T, alias="twin"), on="2@b"), ok(End(T)))
    after = (ok(Begin(T)), ok(Read(T), on="3@c"), ok(End(T)))
    struck = (*first, strike_on("twin"), *after, census(session("3@c")))
    assert verdict(SEPARATE, record(*struck)) == "broken"
    assert verdict(SEPARATE, record(*struck, variant=Variant(name="per request"))) == "kept"
    assert verdict(SEPARATE, record(*struck, traits=Traits(pool_max=4))) == "kept"
    closed = (*first[:3], ok(Close(T)), ok(End(T)), strike_on("twin"), *after, census(session("3@c")))
    assert verdict(SEPARATE, record(*closed)) == "kept"
    same = (*first, strike_on("twin"), *first[:2], ok(End(T)), census(session("1@a")))
    assert verdict(SEPARATE, record(*same)) == "kept"
    exited = census(session("1@a"), at="after exit")
    assert verdict(SEPARATE, record(*struck, exited)) == "broken", "what is there after the end is no witness"
    early = (*first, census(session("1@a")), strike_on("twin"), *after, census(session("3@c")))
    assert verdict(SEPARATE, record(*early)) == "broken", "nor is what was there before"


def test_a_session_that_may_have_ended_of_itself_is_cost_by_no_fault() -> None:
    """Sessions end after three requests. One that a request had when the fault was over was not cost by it."""
    mine, theirs = ok(Read(T), on="1@a"), ok(Read(T, alias="twin"), on="2@b")
    first = (ok(Begin(T)), mine, theirs, ok(End(T)))
    asked = (ok(Begin(T)), mine, ok(End(T)))
    after = (ok(Begin(T)), ok(Read(T), on="3@c"), ok(End(T)), census(session("3@c")))
    three = Traits(serves=2, lasts=9.0)
    assert verdict(SEPARATE, record(*first, *asked, *asked, strike_on("twin"), *after, traits=three)) == "unknown"
    assert verdict(SEPARATE, record(*first, *asked, strike_on("twin"), *asked, *after, traits=three)) == "kept"
    assert verdict(SEPARATE, record(*first, *asked, strike_on("twin"), *after, traits=three)) == "broken"
    failed = (ok(Begin(T)), mine, lost(Read(T, swallow=True, alias="twin")), ok(End(T)))
    noticed = record(*first, *asked, strike_on("twin"), *failed, *after, traits=three)
    assert verdict(SEPARATE, noticed) == "unknown", "it may be the error that cost it"
    assert verdict(SEPARATE, record(*first, strike_on("twin"), *failed, *after, traits=three)) == "broken"


def test_an_error_before_the_fault_or_one_that_was_meant_is_not_its_doing() -> None:
    begun = (look("default", "1@a"), look("other", "2@b"))
    fault = _on_other(strike("sever-fin", "2@b"))
    assert verdict(SEPARATE, both(*begun, lost(Read(T, swallow=True)), fault, look("default", "1@a"))) == "kept"
    assert verdict(SEPARATE, both(*begun, fault, refused(Fail(T, swallow=True)), look("default", "1@a"))) == "kept"
    ended = record(ok(Begin(T)), *begun, fault, lost(End(T)))
    assert verdict(SEPARATE, ended) == "kept", "the end of a request is of all aliases"


def test_equal_aliases_may_have_one_session_after_a_close() -> None:
    mine, same = ok(Read(T), on="1@a"), ok(Read(T, alias="same"), on="1@a")
    assert verdict(SEPARATE, both(mine, ok(Close(T)), same)) == "kept"


MADE, DROPPED = Use(T, "create-test-database"), Use(T, "destroy-test-database")
COPIED, KEPT = Use(T, "clone-test-database"), Use(T, "keep-test-database")


def test_a_test_database_takes_the_place_of_the_real_one() -> None:
    there = look("default", "1@a", database="lab_test_run")
    here = look("default", "1@a")
    assert verdict(SEPARATE, record(here, ok(MADE, whole=True), there, ok(DROPPED, whole=True), here)) == "kept"
    assert verdict(SEPARATE, record(ok(MADE, whole=True), ok(COPIED, whole=True), there)) == "kept"
    assert verdict(SEPARATE, record(here, ok(MADE, whole=True), here)) == "broken", "the tests run in the real one"
    assert verdict(SEPARATE, record(there, ok(MADE, whole=True), there)) == "broken"
    for gone in (DROPPED, KEPT):
        assert verdict(SEPARATE, record(ok(MADE, whole=True), there, ok(gone, whole=True), there)) == "broken"


def test_it_does_so_for_its_own_alias_and_only_once_it_was_made() -> None:
    here, kin = look("default", "1@a"), look("kin", "2@b")
    assert verdict(SEPARATE, record(ok(MADE, whole=True), kin, here)) == "broken"
    assert verdict(SEPARATE, record(kin, lost(MADE), here)) == "kept", "it could not be made"
    assert verdict(SEPARATE, record(kin, skipped(MADE), here)) == "kept"
    there = look("default", "1@a", database="lab_test_run")
    assert verdict(SEPARATE, record(kin, ok(MADE, whole=True), there, look("kin", "2@b"))) == "kept"
    used = ok(Use(T, "read-many"), whole=True)
    assert verdict(SEPARATE, record(kin, ok(MADE, whole=True), used, there)) == "kept", "another use changes nothing"
    assert verdict(SEPARATE, record(kin, ok(MADE, whole=True), lost(DROPPED), here)) == "kept", "the real name is back"


def strike_on(alias: str) -> Line:
    """The fault ends that alias's session."""
    return Line(Inject(FaultSpec("terminate"), alias=alias), struck=("2@b",))
