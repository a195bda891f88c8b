from __future__ import annotations

from typing import Any

import pytest

from lab.judging.ending import from_answer, settle
from lab.records.history import Cause, Ending, Op
from lab.records.plan import Begin, End, Enter, Leave, Step, StepName, Write

STEPS: tuple[Step, ...] = (Begin("t0"), Enter("t0"), Write("t0"), Leave("t0"), End("t0"))
GONE = (Cause("psycopg2.OperationalError"),)


def message(time: int, direction: str, name: str, connection: int = 1, **rest: Any) -> dict[str, Any]:
    kind = {"Query": "Q", "Execute": "E"}.get(name, "")
    return {
        "kind": "message",
        "at_ns": time,
        "direction": direction,
        "name": name,
        "type": kind,
        "connection": connection,
        **rest,
    }


KEY = message(5, "downstream", "BackendKeyData", pid=7)
SENT = message(42, "upstream", "Query", verb="COMMIT", moments=("commit-sent",))
ACKED = message(43, "downstream", "CommandComplete", verb="COMMIT", moments=("command-complete", "commit-acked"))


def history(ending: Ending, **value: Any) -> list[Op]:
    """A block of one write on session 7@a, whose COMMIT, from 40 to 50, ends like this."""
    ops = []
    steps: tuple[StepName, ...] = ("begin", "enter", "write", "leave", "end")
    for index, f in enumerate(steps):
        ops.append(Op(time=10 * index + 10, type="invoke", actor="t0", step=index, f=f, request=0))
        told = {"session": "7@a", "xid": "9"} if f == "write" else {}
        if f == "leave":
            chain = () if ending == "ok" else GONE
            ops.append(Op(time=49, type=ending, actor="t0", step=3, f=f, request=0, value=value, chain=chain))
        else:
            ops.append(Op(time=10 * index + 19, type="ok", actor="t0", step=index, f=f, request=0, value=told))
    return ops


def leave(ops: tuple[Op, ...]) -> tuple[str, Any]:
    (op,) = [op for op in ops if op.f == "leave" and op.type != "invoke"]
    return op.type, op.value.get("wire")


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ((), ("fail", "unsent")),
        ((SENT,), ("info", "sent")),
        ((SENT, ACKED), ("info", "acked")),
        ((SENT, {**ACKED, "dropped": True}), ("info", "acked")),
        (({**SENT, "dropped": True},), ("fail", "unsent")),
        ((SENT, {**ACKED, "verb": "ROLLBACK"}), ("fail", "refused")),
        ((SENT, message(43, "downstream", "ErrorResponse", sqlstate="23505", moments=("error",))), ("fail", "refused")),
        ((SENT, message(43, "downstream", "ErrorResponse", sqlstate="57P01", moments=("error",))), ("info", "sent")),
        (({**SENT, "at_ns": 900},), ("info", "sent")),
        (({**SENT, "connection": 2},), ("fail", "unsent")),
        (({**SENT, "name": "Parse", "type": "P"},), ("fail", "unsent")),
    ],
    ids=[
        "never",
        "sent",
        "answered",
        "answer dropped",
        "dropped",
        "rolled back",
        "refused",
        "ended",
        "late",
        "other",
        "P",
    ],
)
def test_a_commit_that_raised_ends_as_the_wire_says(journal: tuple[Any, ...], expected: tuple[str, str]) -> None:
    assert leave(settle(STEPS, history("info"), (KEY, *journal))) == expected


def test_what_the_caller_was_told_stays_and_what_the_wire_knows_is_noted() -> None:
    assert leave(settle(STEPS, history("ok", depth=0), (KEY, SENT, ACKED))) == ("ok", "acked")
    assert leave(settle(STEPS, history("ok", depth=0), (KEY, SENT))) == ("ok", "sent")
    assert leave(settle(STEPS, history("ok", depth=0), (KEY,))) == ("ok", "unsent")


def test_without_a_journal_the_answer_decides() -> None:
    assert leave(settle(STEPS, history("info"), ())) == ("info", None)


def test_whose_statement_it_was_is_not_guessed_among_several_actors() -> None:
    ops = [op for op in history("info") if op.f != "write"]
    other = Op(time=1, type="invoke", actor="t1", step=0, f="begin", request=0)
    assert leave(settle(STEPS, [other, *ops], (KEY, SENT))) == ("info", None)
    assert leave(settle(STEPS, ops, (KEY, SENT))) == ("info", "sent")


def test_an_inner_block_commits_nothing() -> None:
    release = message(42, "upstream", "Query", verb="RELEASE", moments=("savepoint-sent",))
    assert leave(settle(STEPS, history("info"), (KEY, release))) == ("info", None)


@pytest.mark.parametrize(
    ("do", "ending", "states", "expected"),
    [
        ("read", "ok", [], "ok"),
        ("read", "skip", [], "skip"),
        ("read", "error", [], "fail"),
        ("write", "error", [], "info"),
        ("leave", "error", ["23505"], "fail"),
        ("leave", "error", ["57P01"], "info"),
        ("leave", "error", ["08006", "23505"], "info"),
        ("close", "error", [""], "info"),
    ],
)
def test_an_answer_alone(do: str, ending: str, states: list[str], expected: str) -> None:
    assert from_answer(do, ending, states) == expected


ELSEWHERE = message(44, "upstream", "Query", 2, verb="SELECT")
DONE = message(45, "downstream", "CommandComplete", 2, verb="SELECT", moments=("command-complete",))


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ((SENT, ELSEWHERE, DONE), True),
        ((SENT, ELSEWHERE), None),
        ((SENT, {**ELSEWHERE, "verb": "SET"}, {**DONE, "verb": "SET"}), None),
        ((SENT, {**ELSEWHERE, "connection": 1}, {**DONE, "connection": 1}), None),
        ((SENT, ACKED, ELSEWHERE, DONE), None),
    ],
    ids=["asked", "not answered", "set up", "the same session", "not lost"],
)
def test_whether_the_server_was_asked_what_became_of_a_commit(journal: tuple[Any, ...], expected: bool | None) -> None:
    (op,) = [op for op in settle(STEPS, history("ok", depth=0), (KEY, *journal)) if op.f == "leave" and op.value]
    assert op.value.get("asked") is expected
