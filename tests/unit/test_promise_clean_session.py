from __future__ import annotations

from typing import Any

import pytest

from lab.judging.session_state import LEAVE
from lab.records.plan import Autocommit, Begin, End, Look, Read, Sql
from unit.histories import Line, census, ok, record, session, verdict

CLEAN = "clean-session"
T = "t0"
FRESH: dict[str, Any] = {field: "" for _, field, _ in LEAVE.values()} | {"autocommit": True}


def look(on: str, actor: str = T, **other: Any) -> Line:
    return ok(Look(actor), on=on, **{**FRESH, **other})


def request(*lines: Line, actor: str = T) -> tuple[Line, ...]:
    return (ok(Begin(actor)), *lines, ok(End(actor)))


def leaves(text: str, on: str = "1@a") -> tuple[Line, ...]:
    return request(look(on), ok(Sql(T, text)))


SET = LEAVE["SET"][0]


def test_nothing_was_left() -> None:
    assert verdict(CLEAN, record(*request(look("1@a")), *request(look("1@a")))) == "unknown"


@pytest.mark.parametrize("kind", LEAVE)
def test_what_one_request_left_the_next_one_sees(kind: str) -> None:
    text, field, value = LEAVE[kind]
    begun = (*request(look("1@a")), *leaves(text))
    assert verdict(CLEAN, record(*begun, *request(look("1@a")))) == "kept"
    assert verdict(CLEAN, record(*begun, *request(look("1@a", **{field: value})))) == "broken"


def test_another_actor_sees_it() -> None:
    begun = (*request(look("1@a")), *leaves(SET))
    assert verdict(CLEAN, record(*begun, *request(look("1@a", actor="t1", mark="left"), actor="t1"))) == "broken"


def test_autocommit_that_was_left_off() -> None:
    off = request(look("1@a"), ok(Autocommit(T)), ok(Read(T)))
    assert verdict(CLEAN, record(*off, *request(look("1@a", autocommit=False)))) == "broken"
    inside = request(look("1@a", autocommit=False, in_atomic=True))
    assert verdict(CLEAN, record(*off, *inside)) == "kept"


def test_another_session_proves_nothing_until_the_first_is_gone() -> None:
    begun = (*leaves(SET), *request(look("2@b")))
    assert verdict(CLEAN, record(*begun, census(session("1@a"), session("2@b"), at="final"))) == "unknown"
    assert verdict(CLEAN, record(*begun, census(session("2@b"), at="final"))) == "kept"


def test_what_the_request_has_set_itself_is_its_own() -> None:
    again = request(ok(Sql(T, SET)), look("1@a", mark="left"))
    assert verdict(CLEAN, record(*leaves(SET), *again)) == "kept"


def test_what_was_there_from_the_start_is_nobodys_state() -> None:
    begun = (*request(look("1@a", mark="init")), *request(look("1@a", mark="init"), ok(Sql(T, SET))))
    assert verdict(CLEAN, record(*begun, *request(look("1@a", mark="init")))) == "kept"
    assert verdict(CLEAN, record(*begun, *request(look("1@a", mark="")))) == "broken"
