from __future__ import annotations

import pytest

from lab.records.plan import Begin, End, Fail, Fork, Read, Sql, Use, Write
from unit.histories import RUN, Line, finding, lost, ok, record, refused, strike, verdict

OWN = "own-answers"
T = "t0"


def answered(step: Read | Write, index: int) -> Line:
    """It returned with the answer to the question of step `index`."""
    mine = f"{RUN}:{index}"
    return ok(step, on="1@a", nonce=mine) if isinstance(step, Read) else ok(step, on="1@a", token=mine)


@pytest.mark.parametrize(
    "disturbance",
    [
        (refused(Fail(T, "statement_timeout", swallow=True), "57014"), ok(Read(T), on="1@a", nonce=f"{RUN}:2")),
        (refused(Sql(T, "SELECT pg_sleep(1)", swallow=True), "57014"), ok(Read(T), on="1@a", nonce=f"{RUN}:2")),
        (strike("sever-fin", "1@a"), lost(Read(T, swallow=True)), ok(Read(T), on="1@a", nonce=f"{RUN}:3")),
    ],
    ids=["cancel", "timeout", "reconnect"],
)
def test_each_query_gets_its_own_answer(disturbance: tuple[Line, ...]) -> None:
    told = (ok(Begin(T)), *disturbance)
    index = len(told)
    assert verdict(OWN, record(*told, answered(Read(T), index), ok(End(T)))) == "kept"
    late = finding(OWN, record(*told, answered(Read(T), index - 1), ok(End(T))))
    assert (late.verdict, late.steps) == ("broken", (index,))


def test_a_write_is_answered_with_its_token() -> None:
    told = (ok(Begin(T)), refused(Fail(T, swallow=True)))
    assert verdict(OWN, record(*told, answered(Write(T), 2), ok(End(T)), rows=[2])) == "kept"
    assert verdict(OWN, record(*told, answered(Write(T), 1), ok(End(T)), rows=[2])) == "broken"


def test_no_answer_at_all_is_not_its_own() -> None:
    assert verdict(OWN, record(ok(Begin(T)), ok(Read(T), on="1@a", nonce=None), ok(End(T)))) == "broken"


def test_when_nothing_was_disturbed_nothing_is_said() -> None:
    assert verdict(OWN, record(ok(Begin(T)), answered(Read(T), 1), ok(End(T)))) == "unknown"
    assert verdict(OWN, record(ok(Begin(T)), strike("sever-fin"), lost(Read(T)), ok(End(T)))) == "unknown"


def test_what_a_fork_mixes_up_is_fork_safes_matter() -> None:
    told = (ok(Begin(T)), ok(Fork(T)), answered(Read(T), 0), ok(End(T)))
    assert verdict(OWN, record(*told)) == "unknown"


def test_a_cancel_that_meets_another_statement() -> None:
    slow = Use(T, "slow", swallow=True)
    served = (ok(Begin(T)), ok(slow), ok(End(T)))
    late = (ok(Begin(T)), refused(Fail(T, swallow=True)), refused(slow, "57014"), ok(End(T)))
    told = finding(OWN, record(*served, *late))
    assert (told.verdict, told.steps) == ("broken", (5,))
    assert verdict(OWN, record(*late)) != "broken", "a timeout of the backend's own may be shorter"
    whole = (ok(Begin(T)), refused(Fail(T, swallow=True)), ok(slow), answered(Read(T), 6), ok(End(T)))
    assert verdict(OWN, record(*served, *whole)) == "kept"
    other = (ok(Begin(T)), refused(Fail(T, swallow=True)), refused(slow, "57P01"), ok(End(T)))
    assert verdict(OWN, record(*served, *other)) != "broken"
