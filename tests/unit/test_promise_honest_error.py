from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lab.judging.calls import Call
from lab.promises.honest_error import _of_leaving
from lab.records.history import DIED, Cause
from lab.records.plan import Begin, Close, Commit, End, Enter, Fork, Leave, Read, Write
from lab.records.variant import Variant
from unit.histories import Line, asks, begins, finding, heal, hung, ok, record, strike, verdict

HONEST = "honest-error"
T = "t0"
WROTE = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=7))
LOST = Cause("psycopg2.OperationalError", text="server closed the connection unexpectedly")
ENDED = Cause("psycopg.errors.AdminShutdown", "57P01", "terminating connection due to administrator command")
REFUSED = Cause(
    "psycopg2.OperationalError",
    text='connection to server at "127.0.0.1" failed: Connection refused',
    origin="connect",
)
CLOSED = Cause("psycopg2.InterfaceError", text="connection already closed")
WRONG = Cause(
    "psycopg.OperationalError", text='FATAL:  password authentication failed for user "lab_s00"', origin="connect"
)
FULL = Cause("psycopg.OperationalError", text="FATAL:  sorry, too many clients already", origin="connect")
VAGUE = Cause("django.db.utils.OperationalError", text="the database is unavailable")
DJANGO = Cause("django.db.utils.OperationalError", text="server closed the connection unexpectedly")
SIGNAL = Cause("chain.Interrupted", text="the worker's time limit", base="builtins.Exception", origin="signal")


def raised(step: Leave | Commit | Read | Write, *chain: Cause) -> Line:
    """It raised, with this chain: what left the call first, the first cause last, then what is hidden."""
    return Line(step, "info", chain=chain)


def hidden(*causes: Cause) -> tuple[Cause, ...]:
    """The same, but only being handled when what left was raised."""
    return tuple(msgspec.structs.replace(cause, hidden=True) for cause in causes)


def committed(line: Line) -> Line:
    """The same, though the server has executed it."""
    return Line(**{**line.__dict__, "value": {"wire": "acked"}})


def tried(line: Line, attempts: int = 1, failed: int = 1) -> Line:
    """The same, after the call had tried to connect."""
    return Line(**{**line.__dict__, "value": {"attempts": attempts, "attempts_failed": failed}})


@pytest.mark.parametrize("cause", [LOST, ENDED])
def test_at_commit_the_error_is_commits_own(cause: Cause) -> None:
    told = (*WROTE, strike("cut-fin", "1@a"), raised(Leave(T), DJANGO, cause), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "kept"


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ((REFUSED,), "broken"),
        ((REFUSED, *hidden(LOST)), "broken"),
        ((VAGUE, *hidden(REFUSED, LOST)), "broken"),
        ((REFUSED, LOST), "kept"),
        ((CLOSED, *hidden(LOST)), "broken"),
        ((CLOSED, LOST), "kept"),
        ((VAGUE,), "kept"),
        ((VAGUE, *hidden(LOST)), "kept"),
        ((LOST, *hidden(REFUSED)), "kept"),
    ],
    ids=[
        *("the attempt's", "the attempt's over its own", "words for the attempt's", "its own is the cause"),
        *("of a close", "of a close, with its own", "own words", "own words, implicitly chained", "its own, retried"),
    ],
)
def test_the_error_of_an_executed_commit_is_not_that_of_what_was_tried_later(
    chain: tuple[Cause, ...], expected: str
) -> None:
    told = (*WROTE, strike("refuse", "1@a"))
    done = record(*told, committed(raised(Leave(T), *chain)), heal(), ok(End(T)))
    assert verdict(HONEST, done) == expected
    if any(cause.origin == "commit" for cause in chain):
        return
    never_sent = record(*told, raised(Leave(T), *chain), heal(), ok(End(T)))
    assert verdict(HONEST, never_sent) == "kept"


@pytest.mark.parametrize(
    ("chain", "expected"), [((REFUSED, *hidden(LOST)), "broken"), ((DJANGO, LOST), "kept"), ((VAGUE,), "kept")]
)
def test_an_executed_commit_owes_nothing_to_attempts_that_were_refused_after_it(
    chain: tuple[Cause, ...], expected: str
) -> None:
    told = (*WROTE, strike("lock-out"), strike("cut-fin", "1@a"))
    done = Line(Leave(T), "info", {"wire": "acked", "attempts": 1, "attempts_failed": 1}, chain)
    assert verdict(HONEST, record(*told, done, heal(), ok(End(T)))) == expected


@pytest.mark.parametrize(("wire", "expected"), [("sent", "broken"), ("acked", "broken"), ("unsent", "kept")])
def test_a_driver_that_refuses_to_work_says_nothing_of_a_commit_that_was_sent(wire: str, expected: str) -> None:
    failed = Line(Leave(T), "info", {"wire": wire}, (CLOSED,))
    told = (*WROTE, strike("cut-fin", "1@a"), failed, ok(End(T)))
    assert verdict(HONEST, record(*told)) == expected


@pytest.mark.parametrize(
    ("chain", "expected"),
    [((SIGNAL,), "kept"), ((DJANGO, SIGNAL), "kept"), ((LOST, *hidden(SIGNAL)), "broken")],
    ids=["itself", "as the cause", "hidden"],
)
@pytest.mark.parametrize("step", [Leave(T), Read(T)], ids=["COMMIT", "query"])
def test_a_signal_handlers_exception_leaves_the_call(
    step: Leave | Read, chain: tuple[Cause, ...], expected: str
) -> None:
    told = (*WROTE, strike("interrupt"), raised(step, *chain), ok(End(T)))
    assert verdict(HONEST, record(*told)) == expected


@pytest.mark.parametrize(
    ("base", "causes", "expected"),
    [
        ("builtins.Exception", (), "broken"),
        ("builtins.Exception", (LOST,), "kept"),
        (
            "django.db.utils.OperationalError",
            (),
            "kept",
        ),  # the backend saw the loss itself, and says so in Django's words
    ],
    ids=["alone", "chained", "its own"],
)
def test_an_error_that_repeats_what_another_said_has_it_as_its_cause(
    base: str, causes: tuple[Cause, ...], expected: str
) -> None:
    retold = Cause("backend.BackendError", text=LOST.text, base=base)
    told = (*WROTE, strike("sever-fin", "1@a"), raised(Write(T), retold, *causes), ok(End(T)))
    assert verdict(HONEST, record(*told)) == expected


def test_a_rollback_that_cannot_be_sent_may_end_its_chain_with_why_it_was_wanted() -> None:
    wish = Cause("actor.Rollback", text="the application wants the block rolled back")
    told = (*WROTE, strike("sever-fin", "1@a"), raised(Leave(T, "rollback"), CLOSED, LOST, wish), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "kept"


@pytest.mark.parametrize(("kind", "cause"), [("refuse", REFUSED), ("lock-out", WRONG), ("fill-slots", FULL)])
def test_while_connecting_the_cause_is_named_somewhere_in_the_chain(kind: str, cause: Cause) -> None:
    told = (ok(Begin(T)), strike(kind))
    assert verdict(HONEST, record(*told, tried(raised(Read(T), VAGUE, cause)), ok(End(T)))) == "kept"
    assert verdict(HONEST, record(*told, tried(raised(Read(T), cause)), ok(End(T)))) == "kept"
    for gone in ((), hidden(cause)):
        found = finding(HONEST, record(*told, tried(raised(Read(T), VAGUE, *gone)), ok(End(T))))
        assert (found.verdict, found.steps) == ("broken", (2,))


def test_an_attempts_error_that_is_quoted_is_not_judged() -> None:
    quoting = Cause("django.db.utils.OperationalError", text=f"no database: {REFUSED.text}")
    told = (ok(Begin(T)), strike("refuse"), tried(raised(Read(T), quoting, *hidden(REFUSED))), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "unknown"


def test_attempts_of_another_thread_have_raised_there() -> None:
    waited = Cause("psycopg_pool.PoolTimeout", text="couldn't get a connection after 3.00 sec")
    told = (ok(Begin(T)), strike("refuse"), raised(Read(T), waited), heal(), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "kept"


def test_an_attempt_that_succeeded_hides_nothing() -> None:
    told = (ok(Begin(T)), strike("refuse"), tried(raised(Read(T), VAGUE), attempts=2), heal(), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "kept"


SILENT = ["blackout", "drop-to-server", "drop-to-client", "drop-connection", "link-down"]
TIMED_OUT = Cause("psycopg2.OperationalError", text="could not receive data from server: Connection timed out")
NO_CONNECTION = Cause(
    "psycopg2.OperationalError", text='connection to server at "127.0.0.1" failed: timeout expired', origin="connect"
)


@pytest.mark.parametrize("kind", SILENT)
def test_behind_a_loss_the_error_says_that_nobody_answered(kind: str) -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike(kind, "1@a"))
    assert verdict(HONEST, record(*told, raised(Read(T), DJANGO, TIMED_OUT), heal(), ok(End(T)))) == "kept"
    alien = Cause("backend.Gone", text=TIMED_OUT.text, base="builtins.Exception")
    assert verdict(HONEST, record(*told, raised(Read(T), alien), heal(), ok(End(T)))) == "broken"
    assert verdict(HONEST, record(*told, raised(Read(T), alien, TIMED_OUT), heal(), ok(End(T)))) == "kept"


@pytest.mark.parametrize("kind", SILENT)
def test_a_commit_behind_a_loss_is_not_reported_by_the_reconnect_that_came_after_it(kind: str) -> None:
    told = (*WROTE, strike(kind, "1@a"))
    found = finding(HONEST, record(*told, committed(raised(Leave(T), NO_CONNECTION)), heal(), ok(End(T))))
    assert (found.verdict, found.steps) == ("broken", (4,))
    chained = committed(raised(Leave(T), NO_CONNECTION, TIMED_OUT))
    assert verdict(HONEST, record(*told, chained, heal(), ok(End(T)))) == "kept"


@pytest.mark.parametrize("kind", SILENT)
def test_a_commit_that_a_loss_has_swallowed_is_no_success(kind: str) -> None:
    told = (*WROTE, strike(kind, "1@a"), ok(Leave(T)), heal(), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "broken"


def test_a_call_that_a_loss_keeps_for_ever_has_raised_nothing() -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("blackout", "1@a"), hung(Read(T)))
    assert verdict(HONEST, record(*told)) == "unknown"


def test_of_an_aborted_socket_the_error_is_one_of_the_database() -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("abort", "1@a"))
    assert verdict(HONEST, record(*told, raised(Read(T), LOST), ok(End(T)))) == "kept"
    alien = Cause("backend.Gone", base="builtins.Exception")
    assert verdict(HONEST, record(*told, raised(Read(T), alien), ok(End(T)))) == "broken"


def test_what_follows_the_first_error_may_be_its_echo() -> None:
    told = (ok(Begin(T)), strike("sever-fin", "1@a"), raised(Read(T, swallow=True), LOST), raised(Read(T), CLOSED))
    assert verdict(HONEST, record(*told, ok(End(T)))) == "kept"


@pytest.mark.parametrize("wire", ["unsent", "sent", "refused"])
def test_a_lost_commit_is_no_success(wire: str) -> None:
    told = (*WROTE, strike("cut-fin", "1@a"), ok(Leave(T), depth=0, wire=wire), ok(End(T)))
    found = finding(HONEST, record(*told))
    assert (found.verdict, found.steps) == ("broken", (4,))


@pytest.mark.parametrize(
    ("asked", "rows", "expected"), [(True, [2], "kept"), (True, [], "broken"), (False, [2], "broken")]
)
def test_a_commit_of_which_the_server_was_asked(asked: bool, rows: list[int], expected: str) -> None:
    value: dict[str, Any] = {"asked": True} if asked else {}
    told = (*WROTE, strike("cut-fin", "1@a"), ok(Leave(T), depth=0, wire="sent", **value), ok(End(T)))
    assert verdict(HONEST, record(*told, rows=rows)) == expected


def test_where_no_commit_is_seen_and_nothing_is_lost_none_is_feigned() -> None:
    """A close() in the block had ended it, without any fault; or the backend says it in other words."""
    told = (*WROTE, ok(Close(T)), ok(Leave(T), depth=0, wire="unsent"), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "unknown"
    told = (*WROTE, strike("cut-fin", "1@a"), ok(Leave(T), depth=0, wire="unsent"), ok(End(T)))
    assert verdict(HONEST, record(*told, rows=[2])) == "unknown"


def test_without_a_journal_the_table_tells() -> None:
    told = (*WROTE, strike("sever-fin", "1@a"), ok(Leave(T)), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "broken"
    assert verdict(HONEST, record(*told, rows=[2])) == "unknown"


def test_a_commit_that_was_acknowledged_is_one() -> None:
    told = (*WROTE, strike("split", "1@a"), ok(Leave(T), depth=0, wire="acked"), ok(End(T)))
    assert verdict(HONEST, record(*told, rows=[2])) == "unknown"


def test_a_block_whose_error_was_swallowed_is_atomics_matter() -> None:
    told = (*WROTE, strike("sever-fin", "1@a"), raised(Write(T, swallow=True), LOST), ok(Leave(T)), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "kept"


def test_of_a_fault_that_raises_many_things_nothing_is_said() -> None:
    told = (ok(Begin(T)), strike("restart", "1@a"), raised(Read(T), VAGUE), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "unknown"


@pytest.mark.parametrize(("threads", "expected"), [(1, "unknown"), (2, "broken"), (None, "broken")])
def test_more_requests_than_it_is_made_for_may_be_told_so(threads: int | None, expected: str) -> None:
    in_use = Cause(
        "backend.SessionInUse", text="another thread is in the middle of a request", base="builtins.Exception"
    )
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("sever-fin"), ok(Begin("t1")), raised(Read("t1"), in_use))
    variant = Variant(name="v", keeps=True, threads=threads)
    assert verdict(HONEST, record(*told, ok(End("t1")), ok(End(T)), variant=variant)) == expected


def test_what_follows_a_block_that_was_never_left_is_not_the_faults_doing() -> None:
    told = (*WROTE, strike("sever-fin", "1@a"), ok(End(T), never_left=1), ok(Begin(T)), raised(Read(T), CLOSED))
    assert verdict(HONEST, record(*told, ok(End(T)))) == "unknown"


def test_a_fault_that_is_waited_out_raises_nothing() -> None:
    told = (ok(Begin(T)), strike("refuse"), heal(), ok(Read(T), on="1@a"), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "n/a"


def test_the_error_of_another_who_had_no_session_is_an_echo() -> None:
    mine = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("sever-fin", "1@a"), raised(Read(T), LOST), ok(End(T)))
    alien = Cause("backend.Gone", base="builtins.Exception")
    theirs = (ok(Begin("t1")), raised(Read("t1"), alien), ok(End("t1")))
    assert verdict(HONEST, record(*mine, *theirs)) == "kept"
    had = (ok(Begin("t1")), ok(Read("t1"), on="2@a"), *mine[:2], strike("sever-fin", "1@a", "2@a"))
    told = (*had, raised(Read(T), LOST), raised(Read("t1"), alien), ok(End(T)), ok(End("t1")))
    assert verdict(HONEST, record(*told)) == "broken"


BLAMES = Cause("django.db.utils.ProgrammingError", text="no results to fetch")


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ((BLAMES, *hidden(LOST)), "broken"),
        ((BLAMES, *hidden(DJANGO, LOST)), "broken"),
        ((BLAMES, LOST), "kept"),
        ((BLAMES,), "kept"),
        ((Cause("django.db.transaction.TransactionManagementError"), *hidden(LOST)), "kept"),
        ((VAGUE, *hidden(LOST)), "kept"),
    ],
    ids=["hidden", "twice hidden", "the cause is named", "the driver's own", "of the block", "own words"],
)
def test_a_lost_session_is_no_error_of_the_statement(chain: tuple[Cause, ...], expected: str) -> None:
    told = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("sever-fin", "1@a"), raised(Read(T), *chain), ok(End(T)))
    assert verdict(HONEST, record(*told)) == expected


@pytest.mark.parametrize(
    ("visible", "hidden", "djangos"),
    [
        ({"leaving": True}, {"origin": "commit"}, True),
        ({"leaving": True}, {"origin": "signal"}, True),
        ({}, {"origin": "commit"}, False),
        ({"leaving": True}, {}, False),
    ],
)
def test_whether_django_itself_has_raised_in_the_place_of_commits_error(
    visible: dict[str, Any], hidden: dict[str, Any], djangos: bool
) -> None:
    later = Cause("django.db.utils.OperationalError", **visible)
    first = Cause("psycopg2.OperationalError", hidden=True, **hidden)
    assert _of_leaving(_call(later, first)) is djangos
    of_the_engine = Cause("psycopg2.OperationalError", hidden=True, origin="connect")
    assert not _of_leaving(_call(later, of_the_engine, first))


def _call(*chain: Cause) -> Call:
    leave = Leave("t0")
    return Call("t0", 1, "leave", 0, "safety", 1, 2, "info", {}, chain, leave)


EXIT = Cause("chain.Exiting", base="builtins.SystemExit", origin="signal")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(Line(None, "ok", actor=T), "broken", id="swallowed"),
        pytest.param(Line(None, "fail", chain=(LOST,), actor=T), "broken", id="another error in its place"),
        pytest.param(Line(None, "fail", chain=(EXIT,), actor=T), "kept", id="leaves the call"),
        pytest.param(Line(None, "fail", chain=(LOST, EXIT), actor=T), "kept", id="is the cause"),
        pytest.param(Line(None, "info", chain=(DIED,), actor=T), "unknown", id="the process ended at once"),
    ],
)
def test_a_process_that_is_told_to_exit_does_not_go_on(answer: Line, expected: str) -> None:
    told = (ok(Begin(T)), begins(Read(T)), strike("interrupt", raises="exit"), answer, ok(End(T)))
    assert verdict(HONEST, record(*told)) == expected


def test_a_handler_that_is_late_raises_in_the_next_call() -> None:
    late = (ok(Begin(T)), begins(Read(T)), strike("interrupt", raises="exit"), Line(None, "ok", actor=T))
    assert verdict(HONEST, record(*late, raised(Read(T), EXIT), ok(End(T)))) == "kept"


def test_a_worker_is_told_apart_from_the_first_process() -> None:
    worker = (ok(Begin("c0.t0")), begins(Read("c0.t0")), strike("interrupt", raises="exit", process="c0"))
    swallowed = (*worker, Line(None, "ok", actor="c0.t0"), ok(End("c0.t0")))
    assert verdict(HONEST, record(ok(Fork(T), child="c0"), *swallowed, *asks(T, "1@a"))) == "broken"
    left = (*worker, Line(None, "fail", chain=(EXIT,), actor="c0.t0"))
    assert verdict(HONEST, record(ok(Fork(T), child="c0"), *left, *asks(T, "1@a"))) == "kept"


def test_a_worker_of_its_own_crowds_no_other_process() -> None:
    """A variant for one thread: its request and the parent's run side by side, each in a process of its own."""
    alone = Variant(name="alone", keeps=True, threads=1)
    worker = (ok(Begin("c0.t0")), begins(Read("c0.t0")), strike("interrupt", raises="exit", process="c0"))
    left = (*worker, *asks(T, "1@a"), Line(None, "fail", chain=(EXIT,), actor="c0.t0"))
    ended = Line(End("c0.t0"), "info", chain=(DIED,))
    told = record(ok(Fork(T), child="c0"), *left, ended, variant=alone)
    assert finding(HONEST, told).summary == "the first error named its cause, at read"
