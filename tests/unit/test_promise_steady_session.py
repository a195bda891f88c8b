from __future__ import annotations

from typing import Any

from lab.judging.session_state import LEAVE
from lab.records.plan import Begin, Close, End, Enter, Fail, Leave, Look, Read, Sql, Use, Write
from lab.records.record import Record
from unit.histories import Line, lost, ok, record, refused, strike, verdict

STEADY = "steady-session"
T = "t0"
FRESH: dict[str, Any] = {field: "" for _, field, _ in LEAVE.values()} | {"autocommit": True}
SET = ok(Sql(T, LEAVE["SET"][0]))


def look(on: str = "1@a", **other: Any) -> Line:
    return ok(Look(T), on=on, **{**FRESH, **other})


def one(*lines: Line) -> Record:
    return record(ok(Begin(T)), *lines, ok(End(T)))


def test_nothing_was_set() -> None:
    assert verdict(STEADY, one(look(), ok(Read(T), on="1@a"), look())) == "unknown"


def test_it_is_still_there() -> None:
    assert verdict(STEADY, one(look(), SET, look(mark="left"), ok(Write(T), on="1@a"), look(mark="left"))) == "kept"


def test_after_many_statements() -> None:
    many = ok(Use(T, "repeat"), whole=True)
    assert verdict(STEADY, one(look(), SET, look(mark="left"), many, look(mark="left"))) == "kept"
    assert verdict(STEADY, one(look(), SET, look(mark="left"), many, look())) == "broken"
    assert verdict(STEADY, one(look(), SET, look(mark="left"), many, look("2@b"))) == "broken"


def test_it_is_gone_at_once_or_later() -> None:
    assert verdict(STEADY, one(look(), SET, look())) == "broken"
    assert verdict(STEADY, one(look(), SET, look(mark="left"), ok(Write(T), on="1@a"), look())) == "broken"


def test_another_session_within_one_request() -> None:
    assert verdict(STEADY, one(ok(Read(T), on="1@a"), ok(Read(T), on="2@b"))) == "broken"
    assert verdict(STEADY, record(ok(Begin(T)), ok(Read(T), on="1@a"), ok(End(T)), *_again("2@b"))) == "unknown"


def _again(on: str) -> tuple[Line, ...]:
    return ok(Begin(T)), ok(Read(T), on=on), ok(End(T))


def test_a_fault_a_close_or_an_error_explains_another_session() -> None:
    for reason in (strike("terminate", "1@a"), ok(Close(T)), lost(Read(T, swallow=True))):
        assert verdict(STEADY, one(ok(Read(T), on="1@a"), reason, ok(Read(T), on="2@b"))) == "unknown"


def test_what_is_rolled_back_goes() -> None:
    inside = (look(), ok(Enter(T)), SET, look(mark="left", in_atomic=True))
    assert verdict(STEADY, one(*inside, ok(Leave(T, "rollback")), look())) == "kept"
    assert verdict(STEADY, one(*inside, ok(Leave(T)), look())) == "broken"


def test_a_refused_statement_changes_nothing() -> None:
    begun = (look(), SET, look(mark="left"), refused(Fail(T, swallow=True)))
    assert verdict(STEADY, one(*begun, look(mark="left"))) == "kept"
    assert verdict(STEADY, one(*begun, look())) == "broken"


def test_how_the_driver_brings_an_isolation_level_about_is_its_own_matter() -> None:
    free = look(mark="left", default_isolation="serializable")
    inside = look(mark="left", default_isolation="read committed", in_atomic=True)
    begun = (look(default_isolation="serializable"), SET, free)
    assert verdict(STEADY, one(*begun, ok(Enter(T)), inside, ok(Leave(T)), free)) == "kept"
    weaker = look(mark="left", default_isolation="read committed")
    assert verdict(STEADY, one(*begun, ok(Read(T), on="1@a"), weaker)) == "broken"


def test_a_default_isolation_level_that_the_request_has_set_must_stay() -> None:
    level = ok(Sql(T, LEAVE["isolation level"][0]))
    there = look(default_isolation="serializable")
    for inside in (False, True):
        gone = look(default_isolation="read committed", in_atomic=inside)
        assert verdict(STEADY, one(look(), level, there, ok(Read(T), on="1@a"), there)) == "kept"
        assert verdict(STEADY, one(look(), level, there, ok(Enter(T)), gone)) == "broken"


def test_what_a_backend_sets_for_its_blocks_is_its_own_matter() -> None:
    inside = look(mark="left", statement_timeout="30s", in_atomic=True)
    begun = (look(statement_timeout="0"), SET, look(mark="left", statement_timeout="0"), ok(Enter(T)), inside)
    assert verdict(STEADY, one(*begun, ok(Leave(T)), look(mark="left", statement_timeout="0"))) == "kept"
    own = ok(Sql(T, LEAVE["statement_timeout"][0]))
    there = look(statement_timeout="77s")
    assert verdict(STEADY, one(look(statement_timeout="0"), own, there, ok(Enter(T)), inside)) == "broken"


def test_a_migration_leaves_the_session_as_it_was() -> None:
    begun = (look(statement_timeout="0"), SET, look(mark="left", statement_timeout="0"))
    for how in ("schema-editor", "schema-editor-refused"):
        migrated = (*begun, ok(Use(T, how), whole=True))
        assert verdict(STEADY, one(*migrated, look(mark="left", statement_timeout="0"))) == "kept"
        assert verdict(STEADY, one(*migrated, look(mark="left", statement_timeout="3s"))) == "broken"


def test_a_session_that_is_lost_with_what_was_set_on_it() -> None:
    begun = (look(), SET, look(mark="left"), strike("terminate", "1@a"))
    assert verdict(STEADY, one(*begun, look("2@b"))) == "broken"
    assert verdict(STEADY, one(*begun, ok(Read(T), on="2@b"), look("2@b"))) == "broken"
    assert verdict(STEADY, one(*begun, look("2@b", mark="left"))) == "kept"
    told = lost(Look(T, swallow=True))
    assert verdict(STEADY, one(*begun, told, look("2@b"))) == "kept"
    assert verdict(STEADY, one(*begun, ok(Close(T)), look("2@b"))) == "kept"


def test_a_session_that_is_lost_with_nothing_set_on_it() -> None:
    assert verdict(STEADY, one(look(), strike("terminate", "1@a"), look("2@b", mark="of a receiver"))) == "unknown"
