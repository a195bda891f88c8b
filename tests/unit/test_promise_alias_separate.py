from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lab.records.census import Row
from lab.records.plan import Begin, End, FaultSpec, Inject, Look, Read, Sql, Write
from lab.records.record import Record
from unit.histories import KEEPS, Line, census, lost, ok, record, session, strike, verdict

SEPARATE = "alias-separate"
T = "t0"
PLACES = {
    "default": {"database": "lab", "user": "lab_s00", "alias": "", "role": "lab_s00"},
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


def strike_on(alias: str) -> Line:
    """The fault ends that alias's session."""
    return Line(Inject(FaultSpec("terminate"), alias=alias), struck=("2@b",))
