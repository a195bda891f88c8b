from __future__ import annotations

from typing import Any

import pytest

from lab.judging.session_state import LEAVE
from lab.records.plan import Autocommit, Begin, End, Enter, Look, Read, Set, SetName, Sql, Stop
from unit.histories import Line, census, lost, ok, record, session, skipped, verdict

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


@pytest.mark.parametrize("what", ["driver_isolation_level", "type_loader", "notice_handler"])
def test_what_was_left_on_the_drivers_object(what: SetName) -> None:
    begun = (*request(look("1@a", **{what: "old"})), *request(look("1@a", **{what: "old"}), ok(Set(T, what))))
    assert verdict(CLEAN, record(*begun, *request(look("1@a", **{what: "old"})))) == "kept"
    assert verdict(CLEAN, record(*begun, *request(look("1@a", **{what: "new"})))) == "broken"
    gone = record(*begun, *request(look("2@b", **{what: "old"})), census(session("2@b"), at="final"))
    assert verdict(CLEAN, gone) == "kept"


def test_a_driver_that_has_no_such_thing() -> None:
    begun = (*request(look("1@a")), *request(look("1@a"), skipped(Set(T, "row_factory"))))
    assert verdict(CLEAN, record(*begun, *request(look("1@a", row_factory=True)))) == "unknown"


def test_the_drivers_own_autocommit_is_off_in_a_block() -> None:
    begun = request(look("1@a", driver_autocommit=True), ok(Set(T, "driver_autocommit")))
    inside = request(look("1@a", driver_autocommit=False, in_atomic=True))
    assert verdict(CLEAN, record(*begun, *inside)) == "kept"
    assert verdict(CLEAN, record(*begun, *request(look("1@a", driver_autocommit=False)))) == "broken"


def test_what_was_left_on_the_wrapper_shows_on_any_session_of_its_thread() -> None:
    begun = request(look("1@a", force_debug_cursor=False), ok(Set(T, "force_debug_cursor")))
    assert verdict(CLEAN, record(*begun, *request(look("2@b", force_debug_cursor=True)))) == "broken"
    assert verdict(CLEAN, record(*begun, *request(look("2@b", force_debug_cursor=False)))) == "kept"
    other = request(look("1@a", actor="t1", force_debug_cursor=False), actor="t1")
    assert verdict(CLEAN, record(*begun, *other, census(session("2@b"), at="final"))) == "unknown"


def test_a_block_marked_for_rollback_that_was_never_left() -> None:
    begun = (*request(look("1@a")), *request(ok(Enter(T)), ok(Set(T, "needs_rollback"))))
    assert verdict(CLEAN, record(*begun, *request(lost(Look(T))))) == "broken"
    assert verdict(CLEAN, record(*begun, *request(look("1@a", needs_rollback=False)))) == "kept"


def test_what_a_thread_had_that_ended_is_for_no_other_one() -> None:
    ended = (*request(look("1@a")), ok(Begin("t1")), look("2@b", actor="t1"), ok(Sql("t1", SET)), ok(Stop("t1")))
    assert verdict(CLEAN, record(*ended, *request(look("3@c")))) == "n/a"
    assert verdict(CLEAN, record(*ended, *request(look("2@b", mark="left")))) == "broken"
    assert verdict(CLEAN, record(*ended, *request(look("2@b")))) == "kept"
