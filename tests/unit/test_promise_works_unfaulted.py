from __future__ import annotations

from typing import Any

import msgspec

from lab.promises.works_unfaulted import COPY, SLOW
from lab.records.history import Cause
from lab.records.plan import Begin, Close, End, Enter, Fail, Finish, Fork, Leave, Read, Sql, Use, Write
from lab.records.variant import Traits, Variant
from unit.histories import (
    Line,
    asks,
    begins,
    finding,
    hung,
    lost,
    ok,
    record,
    refused,
    returns,
    skipped,
    strike,
    verdict,
)

WORKS = "works-unfaulted"
T = "t0"
COPIES = refused(Sql(T, COPY, swallow=True), "")


def told(*lines: Line) -> str:
    return verdict(WORKS, record(*lines))


def test_plain_requests() -> None:
    assert told(*asks(T, "1@a"), *asks(T, "1@a")) == "kept"


def test_an_error_without_any_fault() -> None:
    broken = finding(WORKS, record(*asks(T, "1@a"), ok(Begin(T)), lost(Read(T)), ok(End(T))))
    assert (broken.verdict, broken.steps) == ("broken", (4,))


def test_an_error_of_the_statement_before() -> None:
    assert told(ok(Begin(T)), ok(Read(T), on="1@a"), COPIES, lost(Read(T)), ok(End(T))) == "broken"


def test_what_psycopg_leaves_of_a_copy_is_djangos_own_until_the_request_has_ended() -> None:
    """And not where the driver is another one, nor in a later request, though an earlier one has met it as well."""
    inside = (ok(Begin(T)), ok(Read(T), on="1@a"), COPIES, lost(Read(T)), ok(End(T)))
    after = (ok(Begin(T)), lost(Read(T)), ok(End(T)))
    psycopg = Variant(name="three", engine="x", driver="psycopg")

    def told_of(*lines: Line, variant: Variant = psycopg) -> tuple[str, bool, tuple[int, ...]]:
        found = finding(WORKS, record(*lines, variant=variant))
        return found.verdict, found.djangos, found.steps

    assert told_of(*inside, *asks(T, "2@b")) == ("broken", True, (3,))
    assert told_of(*inside, *inside) == ("broken", True, (3,)), "the first one is told"
    assert told_of(*inside, variant=Variant(name="two", engine="x")) == ("broken", False, (3,))
    assert told_of(*inside, *after) == ("broken", False, (6,))
    before = (ok(Begin(T)), ok(Read(T), on="1@a"), lost(Read(T)), COPIES, ok(End(T)))
    assert told_of(*before) == ("broken", False, (2,))


def test_a_refused_statement_has_an_error_of_its_own() -> None:
    copied = (ok(Begin(T)), ok(Read(T), on="1@a"), COPIES, ok(Read(T), on="1@a"), ok(End(T)))
    assert told(*copied, *asks(T, "1@a")) == "kept"


def test_what_follows_in_an_aborted_block_is_its_own_too() -> None:
    block = (
        ok(Begin(T)),
        ok(Enter(T)),
        ok(Write(T), on="1@a"),
        refused(Fail(T, swallow=True)),
        refused(Read(T), "25P02"),
    )
    assert told(*block, skipped(Leave(T)), ok(End(T)), *asks(T, "1@a")) == "kept"


def test_an_aborted_block_excuses_nothing_on_another_alias() -> None:
    block = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), refused(Fail(T, swallow=True)))
    rest = (skipped(Leave(T)), ok(End(T)), *asks(T, "1@a"))
    assert told(*block, ok(Read(T, alias="kin"), on="2@b"), *rest) == "kept"
    assert told(*block, refused(Read(T, alias="kin"), "25P02"), *rest) == "broken"
    beside = (ok(Enter(T, alias="kin")), ok(Write(T, alias="kin"), on="2@b"), ok(Leave(T)))
    assert told(*block, *beside, refused(Read(T, swallow=True), "25P02"), *rest) == "kept"
    assert told(*block, *beside[:2], lost(Leave(T)), ok(End(T))) == "broken"


def test_the_request_after_it_must_be_whole() -> None:
    block = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), refused(Fail(T)), skipped(Leave(T)), ok(End(T)))
    assert told(*block, ok(Begin(T)), refused(Read(T), "25P02"), ok(End(T))) == "broken"


def test_a_result_that_is_cut() -> None:
    def used(whole: bool) -> str:
        return told(ok(Begin(T)), ok(Read(T), on="1@a"), ok(Use(T, "iterator"), whole=whole), ok(End(T)))

    assert (used(True), used(False)) == ("kept", "broken")


def test_a_use_that_raises() -> None:
    assert told(ok(Begin(T)), ok(Read(T), on="1@a"), lost(Use(T, "open-cursor")), ok(End(T))) == "broken"


def test_a_fault_excuses_everything() -> None:
    assert told(*asks(T, "1@a"), strike("terminate", "1@a"), ok(Begin(T)), lost(Read(T)), ok(End(T))) == "unknown"


def test_what_was_closed_by_hand_or_shared_is_for_others_to_judge() -> None:
    closed = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(Close(T)), ok(End(T)), ok(Begin(T)), lost(Read(T)), ok(End(T)))
    assert told(*closed) == "unknown"
    both = (ok(Begin(T)), ok(Begin("t1")), begins(Read(T)), lost(Read("t1")), returns(T, on="1@a"))
    assert told(*both, ok(End(T)), ok(End("t1"))) == "unknown"


def test_more_threads_than_it_is_made_for_are_its_users_fault() -> None:
    lines = (*asks(T, "1@a"), ok(Begin("t1")), lost(Read("t1")), ok(End("t1")))
    of_one = Variant(name="of-one", engine="x", threads=1)
    assert [verdict(WORKS, record(*lines)), verdict(WORKS, record(*lines, variant=of_one))] == ["broken", "kept"]


def test_a_statement_that_takes_its_time() -> None:
    slow = Use(T, "slow")
    served = (ok(Begin(T)), ok(slow, whole=True), ok(End(T)))
    late = (ok(Begin(T)), refused(Fail(T, swallow=True)), refused(slow, "57014"), ok(End(T)))
    assert told(*served, *late) == "broken"
    assert told(*late) == "unknown", "a timeout of the backend's own may be shorter"


ERROR = (ok(Begin(T)), lost(Read(T)), ok(End(T)))
"""A request that meets an error for which nothing else is a reason."""


def test_what_was_done_before_explains_an_error_and_what_comes_later_does_not() -> None:
    begun = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), ok(End(T), never_left=1))
    by_hand = (ok(Begin(T)), ok(Sql(T, "BEGIN"), on="1@a"), ok(End(T)))
    closed = (ok(Begin(T)), ok(Read(T), on="1@a"), ok(Close(T)), ok(End(T)))
    for odd in (begun, by_hand, closed):
        assert [told(*odd, *ERROR), told(*asks(T, "1@a"), *ERROR, *odd)] == ["unknown", "broken"]
    outside = (ok(Read(T), on="1@a"),)
    assert told(*outside, *ERROR) == "unknown", "work outside of any request may have left something"
    inside = (ok(Begin(T)), ok(Sql(T, "BEGIN"), on="1@a"), lost(Read(T)), ok(End(T)))
    assert told(*inside) == "unknown"
    left = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), lost(Read(T, swallow=True)), ok(End(T), never_left=1))
    assert told(*left) == "unknown", "it leaves a block open itself"


def test_threads_that_come_later_are_not_too_many_yet() -> None:
    of_one = Variant(name="of-one", engine="x", threads=1)
    assert verdict(WORKS, record(*asks(T, "1@a"), *ERROR, *asks("t1", "2@b"), variant=of_one)) == "broken"


def test_a_plan_of_another_promise_and_a_projects_set_up_explain_everything() -> None:
    changes: tuple[dict[str, Any], ...] = ({"init": ("SELECT 1",)}, {"promise": "recovers"})
    for change in changes:
        failed = record(*asks(T, "1@a"), *ERROR)
        made = msgspec.structs.replace(failed, plan=msgspec.structs.replace(failed.plan, **change))
        assert verdict(WORKS, made) == "unknown"
        own = msgspec.structs.replace(failed, plan=msgspec.structs.replace(failed.plan, promise=WORKS))
        assert verdict(WORKS, own) == "broken"


def test_a_test_database_that_cannot_be_made_or_dropped() -> None:
    made, dropped = Use(T, "create-test-database"), Use(T, "destroy-test-database")
    assert told(*asks(T, "1@a"), ok(made, whole=True), ok(dropped, whole=True), *asks(T, "2@b")) == "kept"
    assert told(*asks(T, "1@a"), lost(made), *asks(T, "2@b")) == "broken"
    assert told(*asks(T, "1@a"), ok(made, whole=True), lost(dropped), *asks(T, "2@b")) == "broken"


def test_only_a_copy_that_was_refused_is_left_under_way() -> None:
    def djangos(before: Line) -> bool:
        psycopg = Variant(name="three", engine="x", driver="psycopg")
        lines = (ok(Begin(T)), ok(Read(T), on="1@a"), before, lost(Read(T)), ok(End(T)))
        found = finding(WORKS, record(*lines, variant=psycopg))
        assert found.verdict == "broken"
        return found.djangos

    done, refusal = ok(Sql(T, COPY, swallow=True)), refused(Fail(T, swallow=True))
    assert [djangos(COPIES), djangos(done), djangos(refusal)] == [True, False, False]


def test_in_a_block_only_a_refused_statement_explains_what_follows() -> None:
    def block(*lines: Line) -> str:
        return told(ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), *lines, ok(End(T)), *asks(T, "1@a"))

    assert block(lost(Read(T))) == "broken"
    assert block(ok(Sql(T, COPY)), lost(Read(T))) == "broken"
    refusal = refused(Fail(T, swallow=True))
    follows = refused(Use(T, "read-many", swallow=True), "25P02")
    assert block(refusal, follows, follows, skipped(Leave(T))) == "kept"


def test_what_follows_where_autocommit_is_off_is_its_own_too() -> None:
    lines = (ok(Begin(T)), ok(Read(T), on="1@a"), refused(Fail(T, swallow=True)), refused(Read(T), "25P02"), ok(End(T)))
    told_of = [verdict(WORKS, record(*lines, traits=Traits(autocommit=on))) for on in (True, False)]
    assert told_of == ["broken", "kept"]
    later = (*lines, ok(Begin(T)), refused(Read(T), "25P02"), ok(End(T)))
    assert verdict(WORKS, record(*later, traits=Traits(autocommit=False))) == "broken"


def told_as(*chain: Cause) -> str:
    raised = Line(Fail(T), "fail", chain=chain)
    block = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), raised, skipped(Leave(T)), ok(End(T)))
    return told(*asks(T, "1@a"), *block, *asks(T, "1@a"))


UNIQUE = Cause(cls="psycopg.errors.UniqueViolation", base="psycopg.errors.UniqueViolation", sqlstate="23505")
ABORTED = Cause(cls="django.db.utils.InternalError", sqlstate="25P02")


def test_a_refusal_that_is_told_by_what_was_asked_after_it() -> None:
    hidden = Cause(cls="psycopg2.errors.UniqueViolation", sqlstate="23505", hidden=True)
    drivers_own = Cause(cls="django.db.utils.ProgrammingError")
    assert told_as(ABORTED, hidden) == "broken"
    assert told_as(drivers_own, hidden) == "broken"


def test_a_refusal_in_other_words_is_its_own() -> None:
    of_its_own = Cause(cls="mine.Refused", base="django.db.utils.IntegrityError")
    hidden = Cause(cls="psycopg2.errors.UniqueViolation", sqlstate="23505", hidden=True)
    assert told_as(Cause(cls="mine.Refused", base="builtins.Exception"), UNIQUE) == "kept"
    assert told_as(of_its_own, hidden) == "kept"
    assert told_as(Cause(cls="mine.Refused", base="builtins.Exception"), hidden) == "kept"


def test_a_key_that_is_there_already_is_an_integrity_error() -> None:
    integrity, drivers = (Cause(cls=f"{module}.IntegrityError") for module in ("django.db.utils", "psycopg2"))
    other = Cause(cls="django.db.utils.DatabaseError")
    assert told_as(integrity, UNIQUE) == "kept"
    assert told_as(Cause(cls="mine.Twice", base=integrity.cls), UNIQUE) == "kept"
    assert {told_as(each, UNIQUE) for each in (other, drivers)} == {"broken"}, "get_or_create() does not know it"


def test_a_refusal_that_another_error_replaces_when_it_leaves_the_block() -> None:
    left = [{"cls": "django.db.utils.InternalError", "sqlstate": "25P02"}]
    raised = Line(Fail(T), "fail", {"left": left}, (UNIQUE,))
    assert told(ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), raised, skipped(Leave(T)), ok(End(T))) == "broken"


C = "c0.t0"
FORKS = ok(Fork(T), child="c0", pid=7)


def test_a_forked_process_whose_parent_rests() -> None:
    fails = (ok(Begin(C)), lost(Read(C)), ok(End(C)))
    assert told(*asks(T, "1@a"), FORKS, *fails) == "broken"
    assert told(*asks(T, "1@a"), FORKS, *asks(C, "1@a")) == "kept"
    assert told(FORKS, *asks(T, "1@a"), *fails) == "unknown", "the two may be in each other's way"
    assert told(ok(Begin(T)), ok(Read(T), on="1@a"), FORKS, *fails, ok(End(T))) == "unknown"


def test_to_refuse_to_go_on_where_an_end_was_told_within_a_block() -> None:
    block = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), ok(Finish(T)), lost(Leave(T)), ok(End(T)))
    assert told(*block) == "unknown"


def test_a_slow_statement_explains_no_error_after_it() -> None:
    inside = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), ok(Sql(T, SLOW)))
    assert told(*inside, ok(Write(T), on="1@a"), ok(Leave(T)), ok(End(T))) == "kept"
    assert told(*inside, lost(Write(T)), ok(End(T))) == "broken"


def test_a_stream_that_was_left_early_costs_its_block_and_nothing_else() -> None:
    """psycopg cancels it, so that the server refuses what follows in the block; but nothing waits for it."""
    left = ok(Use(T, "stream-left"), whole=True)
    block = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a"), left)
    assert told(*block, refused(Read(T), "25P02"), skipped(Leave(T)), ok(End(T)), *asks(T, "1@a")) == "kept"
    assert told(*block, lost(Leave(T)), ok(End(T)), *asks(T, "1@a")) == "kept"
    assert told(*block, hung(Leave(T))) == "broken"
    assert told(ok(Begin(T)), left, lost(Read(T)), ok(End(T))) == "broken"
    assert told(*block, ok(Leave(T)), ok(End(T)), ok(Begin(T)), lost(Read(T)), ok(End(T))) == "broken"
