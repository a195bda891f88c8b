from __future__ import annotations

import pytest

from lab.promises.reason import reason
from lab.records.history import Cause
from lab.records.plan import Begin, Commit, End, Enter, Leave, Read, Write
from unit.histories import Line, finding, heal, ok, record, strike, verdict

HONEST = "honest-error"
T = "t0"
WROTE = (ok(Begin(T)), ok(Enter(T)), ok(Write(T), on="1@a", xid=7))
LOST = Cause("psycopg2.OperationalError", text="server closed the connection unexpectedly")
ENDED = Cause("psycopg.errors.AdminShutdown", "57P01", "terminating connection due to administrator command")
REFUSED = Cause("psycopg2.OperationalError", text='connection to server at "127.0.0.1" failed: Connection refused')
CLOSED = Cause("psycopg2.InterfaceError", text="connection already closed")
WRONG = Cause("psycopg.OperationalError", text='FATAL:  password authentication failed for user "lab_s00"')
FULL = Cause("psycopg.OperationalError", text="FATAL:  sorry, too many clients already")
VAGUE = Cause("django.db.utils.OperationalError", text="the database is unavailable")
DJANGO = Cause("django.db.utils.OperationalError", text="server closed the connection unexpectedly")


def raised(step: Leave | Commit | Read | Write, *chain: Cause) -> Line:
    """It raised, with this chain: what left the call first, the first cause last."""
    return Line(step, "info", chain=chain)


@pytest.mark.parametrize("cause", [LOST, ENDED])
def test_at_commit_the_error_is_commits_own(cause: Cause) -> None:
    told = (*WROTE, strike("cut-fin", "1@a"), raised(Leave(T), DJANGO, cause), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "kept"


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ((REFUSED,), "broken"),
        ((REFUSED, LOST), "kept"),
        ((CLOSED,), "broken"),
        ((CLOSED, LOST), "kept"),
        ((VAGUE,), "broken"),
    ],
    ids=["refused", "refused after it", "closed", "closed after it", "vague"],
)
def test_a_later_error_must_have_it_as_its_first_cause(chain: tuple[Cause, ...], expected: str) -> None:
    told = (*WROTE, strike("refuse", "1@a"), raised(Leave(T), *chain), heal(), ok(End(T)))
    assert verdict(HONEST, record(*told)) == expected


@pytest.mark.parametrize(("kind", "cause"), [("refuse", REFUSED), ("lock-out", WRONG), ("fill-slots", FULL)])
def test_while_connecting_the_cause_is_named_somewhere_in_the_chain(kind: str, cause: Cause) -> None:
    told = (ok(Begin(T)), strike(kind))
    assert verdict(HONEST, record(*told, raised(Read(T), VAGUE, cause), ok(End(T)))) == "kept"
    found = finding(HONEST, record(*told, raised(Read(T), VAGUE), ok(End(T))))
    assert (found.verdict, found.steps) == ("broken", (2,))


def test_what_follows_the_first_error_may_be_its_echo() -> None:
    told = (ok(Begin(T)), strike("sever-fin", "1@a"), raised(Read(T, swallow=True), LOST), raised(Read(T), CLOSED))
    assert verdict(HONEST, record(*told, ok(End(T)))) == "kept"


@pytest.mark.parametrize("wire", ["unsent", "sent", "refused"])
def test_a_lost_commit_is_no_success(wire: str) -> None:
    told = (*WROTE, strike("cut-fin", "1@a"), ok(Leave(T), depth=0, wire=wire), ok(End(T)))
    found = finding(HONEST, record(*told))
    assert (found.verdict, found.steps) == ("broken", (4,))


def test_without_a_journal_the_table_tells() -> None:
    told = (*WROTE, strike("sever-fin", "1@a"), ok(Leave(T)), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "broken"
    assert verdict(HONEST, record(*told, rows=[2])) == "unknown"


def test_a_commit_that_was_acknowledged_is_one() -> None:
    told = (*WROTE, strike("split"), ok(Leave(T), depth=0, wire="acked"), ok(End(T)))
    assert verdict(HONEST, record(*told, rows=[2])) == "unknown"


def test_a_block_whose_error_was_swallowed_is_atomics_matter() -> None:
    told = (*WROTE, strike("sever-fin", "1@a"), raised(Write(T, swallow=True), LOST), ok(Leave(T)), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "kept"


def test_of_a_fault_that_raises_many_things_nothing_is_said() -> None:
    told = (ok(Begin(T)), strike("restart", "1@a"), raised(Read(T), VAGUE), ok(End(T)))
    assert verdict(HONEST, record(*told)) == "unknown"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (LOST, "lost"),
        (ENDED, "ended"),
        (REFUSED, "refused"),
        (CLOSED, "closed"),
        (WRONG, "authentication"),
        (FULL, "slots"),
        (Cause("x", "23505", "duplicate key"), "statement"),
        (Cause("psycopg_pool.PoolTimeout", text="couldn't get a connection after 3.00 sec"), "waited"),
        (Cause("lab.Hung"), "hung"),
        (VAGUE, "other"),
    ],
)
def test_what_an_exception_says(cause: Cause, expected: str) -> None:
    assert reason(cause) == expected
