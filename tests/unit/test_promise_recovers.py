from __future__ import annotations

import msgspec

from lab.judging.plan_parts import WHILE_LOCKED
from lab.promise import PROMISES
from lab.records.plan import Autocommit, Begin, End, Enter, Fail, Fork, Leave, Read, Sql, Stop, Use, Write
from lab.records.variant import Traits
from unit.histories import (
    KEEPS,
    Line,
    asks,
    begins,
    finding,
    heal,
    hung,
    lost,
    ok,
    raises,
    record,
    refused,
    returns,
    skipped,
    strike,
    verdict,
)

RECOVERS = "recovers"
T = "t0"
STRUCK = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("sever-fin", "1@a"), lost(Read(T)), ok(End(T)))
FAILS = (ok(Begin(T)), lost(Read(T)), ok(End(T)))


def test_the_next_request_succeeds() -> None:
    assert verdict(RECOVERS, record(*STRUCK, *asks(T, "2@b"))) == "kept"


def test_the_next_request_fails() -> None:
    told = finding(RECOVERS, record(*STRUCK, *FAILS, *asks(T, "2@b")))
    assert (told.verdict, told.steps) == ("broken", (6,))


def test_the_next_request_hangs() -> None:
    assert verdict(RECOVERS, record(*STRUCK, ok(Begin(T)), hung(Read(T)))) == "broken"


def test_another_actor_that_met_the_fault_must_recover_as_well() -> None:
    both = (ok(Begin(T)), ok(Begin("t1")), ok(Read(T), on="1@a"), ok(Read("t1"), on="2@b"))
    fault = (strike("terminate", "1@a", "2@b"), lost(Read(T)), lost(Read("t1")), ok(End(T)), ok(End("t1")))
    dead = (ok(Begin("t1")), lost(Read("t1")), ok(End("t1")))
    assert verdict(RECOVERS, record(*both, *fault, *asks(T, "3@c"), *asks("t1", "4@d"))) == "kept"
    assert verdict(RECOVERS, record(*both, *fault, *asks(T, "3@c"), *dead)) == "broken"


def test_a_stale_session_may_cost_one_request_and_not_two() -> None:
    idle = (*asks(T, "1@a"), strike("sever-fin", "1@a"), *FAILS)
    assert verdict(RECOVERS, record(*idle, *asks(T, "2@b"))) == "kept"
    assert verdict(RECOVERS, record(*idle, *FAILS, *asks(T, "2@b"))) == "broken"


def test_a_session_that_was_frozen_and_answers_again_excuses_nothing() -> None:
    thawed = (*asks(T, "1@a"), strike("freeze", "1@a"), ok(Begin(T)), lost(Read(T)), ok(End(T)), heal())
    assert verdict(RECOVERS, record(*thawed, *asks(T, "1@a"), *FAILS)) == "broken"


def test_an_error_while_the_fault_lasts_is_no_breach() -> None:
    refused = (*asks(T, "1@a"), strike("refuse", "1@a"), *FAILS, *FAILS, heal())
    assert verdict(RECOVERS, record(*refused, *asks(T, "2@b"))) == "kept"
    assert verdict(RECOVERS, record(*refused, *FAILS)) == "broken"


def test_a_block_never_left_poisons_the_next_request() -> None:
    never = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=7), ok(End(T), never_left=1))
    assert verdict(RECOVERS, record(*never, *FAILS)) == "broken"
    assert verdict(RECOVERS, record(*never, *asks(T, "2@b"))) == "kept"


def test_the_process_died() -> None:
    died = record(ok(Begin(T)), lost(Read(T)), fate="died")
    assert verdict(RECOVERS, died) == "broken"


def test_the_process_died_before_the_fault_was_seen() -> None:
    told = (ok(Begin(T)), strike("limit-data", landed=False), lost(Read(T)))
    assert verdict(RECOVERS, record(*told, fate="died", void="not seen to land: limit-data")) == "broken"


def test_a_request_with_unusual_steps_proves_nothing() -> None:
    odd = (ok(Begin(T)), lost(Leave(T)), ok(End(T)))
    assert verdict(RECOVERS, record(*STRUCK, *odd)) == "unknown"


def test_no_fault_and_no_request_after_it_are_unknown() -> None:
    assert verdict(RECOVERS, record(*asks(T, "1@a"), *asks(T, "1@a"))) == "unknown"
    assert verdict(RECOVERS, record(*STRUCK)) == "unknown"


def test_who_is_refused_while_others_have_all_sessions_is_not_poisoned() -> None:
    beside = (ok(Begin("t1")), ok(Read("t1"), on="2@b"))
    assert verdict(RECOVERS, record(*STRUCK, *beside, *FAILS, ok(End("t1")), *asks(T, "3@c"))) == "kept"
    both = (ok(Begin(T)), *beside, ok(Read(T), on="1@a"), strike("sever-fin", "1@a"), lost(Read(T)), ok(End(T)))
    assert verdict(RECOVERS, record(*both, *FAILS)) == "broken"


def test_a_session_that_went_with_its_thread_is_not_recovered_from_a_fault() -> None:
    died = (ok(Begin("t1")), ok(Enter("t1")), ok(Stop("t1")))
    assert verdict(RECOVERS, record(*STRUCK, *died, *FAILS)) == "kept"


def test_who_failed_before_the_fault_proves_nothing_with_it() -> None:
    assert verdict(RECOVERS, record(*FAILS, *STRUCK, *FAILS)) == "unknown"


def test_skipped_steps_are_no_errors() -> None:
    over = (ok(Begin(T)), strike("sever-fin", "1@a"), lost(Read(T)), skipped(Write(T)), ok(End(T)))
    assert verdict(RECOVERS, record(*over, *asks(T, "2@b"))) == "kept"


def test_a_refused_statement_poisons_the_next_request() -> None:
    met = (ok(Begin(T)), ok(Read(T), on="1@a"), refused(Fail(T)), ok(End(T)))
    assert verdict(RECOVERS, record(*met, *asks(T, "1@a"))) == "kept"
    told = finding(RECOVERS, record(*met, *FAILS, *asks(T, "1@a")))
    assert (told.verdict, told.steps) == ("broken", (5,))


def test_who_gave_up_waiting_costs_no_session_later() -> None:
    two = (ok(Begin("t1")), ok(Read("t1"), on="1@a"), ok(Begin("t2")), ok(Read("t2"), on="2@b"))
    ends = (ok(End("t1")), ok(End("t2")))
    assert verdict(RECOVERS, record(*two, *FAILS, *ends, *asks(T, "1@a"))) == "kept"
    assert verdict(RECOVERS, record(*two, *FAILS, *ends, *FAILS)) == "broken"
    one = (ok(Begin("t1")), ok(Read("t1"), on="1@a"), *FAILS, ok(End("t1")))
    assert verdict(RECOVERS, record(*two, *FAILS, *ends, *one)) == "broken"
    assert verdict(RECOVERS, record(*two, *FAILS, *ends, *two, *FAILS, *ends)) == "kept"
    more = (ok(Begin(T)), ok(Read(T), on="1@a"), lost(Read(T)), ok(End(T)))
    assert verdict(RECOVERS, record(*two, *FAILS, *ends, *more)) == "kept"


def test_what_else_may_explain_an_error_after_a_refused_statement() -> None:
    met = (ok(Begin(T)), ok(Read(T), on="1@a"), refused(Fail(T)), ok(End(T)))
    assert verdict(RECOVERS, record(*FAILS, *met, *FAILS)) == "unknown"
    assert verdict(RECOVERS, record(*met, ok(Fork(T), child="c0"), *FAILS)) == "unknown"
    odd = (ok(Begin(T)), ok(Autocommit(T)), refused(Fail(T)), ok(End(T)))
    assert verdict(RECOVERS, record(*odd, *FAILS)) == "unknown"
    assert verdict(RECOVERS, record(*met, strike("sever-fin", "1@a"), *FAILS, *asks(T, "2@b"))) == "kept"


def test_what_a_failed_set_up_leaves_behind() -> None:
    lock, unlock = Sql("t1", "SELECT pg_advisory_lock(1)"), Sql("t1", "SELECT pg_advisory_unlock(1)")
    met = (ok(Begin("t1")), ok(lock, on="1@a"), *FAILS, *FAILS, ok(unlock, on="1@a"), ok(End("t1")))

    def told(*lines: Line) -> str:
        made = record(*lines)
        plan = msgspec.structs.replace(made.plan, init=(WHILE_LOCKED,))
        return verdict(RECOVERS, msgspec.structs.replace(made, plan=plan))

    assert told(*met, *asks(T, "2@b")) == "kept"
    assert told(*met, *FAILS) == "broken"
    assert told(ok(Begin("t1")), ok(lock, on="1@a"), *asks(T, "2@b"), ok(unlock), ok(End("t1"))) == "n/a"


def test_a_statement_often_repeated_is_served_by_every_session() -> None:
    met = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("terminate", "1@a"), lost(Read(T)), ok(End(T)))
    again = ok(Begin(T)), lost(Use(T, "repeat")), ok(End(T))
    assert verdict(RECOVERS, record(*met, *again)) == "broken"
    other = ok(Begin(T)), lost(Use(T, "pipeline-left")), ok(End(T))
    assert verdict(RECOVERS, record(*met, *other)) == "unknown"


def test_a_signal_that_found_no_call_says_nothing_where_who_came_last_was_refused_at_once() -> None:
    crowd = (ok(Begin("t1")), ok(Read("t1"), on="1@a"))
    came = (ok(Begin(T)), lost(Read(T)), strike("interrupt", landed=False), ok(End(T)), ok(End("t1")))
    for story, expected in (((*crowd, *came), "n/a"), (came[:-1], "unknown")):
        told = record(*story, void="not seen to land: interrupt")
        missed = tuple(msgspec.structs.replace(landing, nothing=True) for landing in told.landings)
        assert verdict(RECOVERS, msgspec.structs.replace(told, landings=missed)) == expected


def test_what_is_handed_on_to_one_that_waits_must_work() -> None:
    held = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("terminate", "1@a"), ok(Begin("t1")))
    waits = begins(Read("t1"), waits=True)
    over = (lost(Read(T)), ok(End(T)))
    served = (returns("t1", on="2@b"), ok(End("t1")))
    assert verdict(RECOVERS, record(*held, waits, *over, *served, *asks(T, "2@b"))) == "kept"
    dead = (raises("t1"), ok(End("t1")))
    assert verdict(RECOVERS, record(*held, waits, *over, *dead, *asks(T, "2@b"))) == "broken"
    gives_up = (*held, waits, raises("t1"), *over, ok(End("t1")), *asks(T, "2@b"))
    assert verdict(RECOVERS, record(*gives_up)) == "kept"
    next_one = (*held, waits, *over, ok(Begin(T)), *dead, ok(Read(T), on="2@b"), ok(End(T)))
    assert verdict(RECOVERS, record(*next_one)) == "broken"


def test_a_signal_while_another_one_has_all_sessions_costs_none() -> None:
    """What is handed to a waiter that has gone is lost to those who come after the heal."""
    crowd = (ok(Begin("t1")), ok(Read("t1"), on="1@a"))
    waits = (ok(Begin(T)), begins(Read(T), waits=True), strike("interrupt"), raises(T), ok(End(T)))
    struck = (*crowd, *waits, ok(End("t1")), heal())
    assert verdict(RECOVERS, record(*struck, *asks(T, "1@a"), *asks("t1", "1@a"))) == "kept"
    assert verdict(RECOVERS, record(*struck, *FAILS)) == "broken"
    assert (
        verdict(RECOVERS, record(*struck, *asks(T, "1@a"), ok(Begin("t1")), lost(Read("t1")), ok(End("t1"))))
        == "broken"
    )


def test_a_signal_is_sent_to_one_that_waits_where_some_were_seen_to_wait() -> None:
    def crowds(traits: Traits) -> list[int]:
        plans = PROMISES.get(RECOVERS).plans(KEEPS, traits)
        return [
            len({step.actor for step in each.steps if isinstance(step, Read)})
            for each in plans
            if each.title == "all are taken"
        ]

    assert (crowds(Traits()), crowds(Traits(queue_limit=3)), crowds(Traits(pool_max=2))) == ([], [4], [3])
