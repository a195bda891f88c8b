"""No judge calls an honest backend broken, and every judge calls a history broken in which its sentence is violated."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lab.judging.judge import judge
from lab.judging.trace import Trace
from lab.promise import PROMISES
from lab.records.census import Row
from lab.records.history import Op
from lab.records.plan import (
    Autocommit,
    Begin,
    Close,
    Commit,
    End,
    Enter,
    Fail,
    FaultSpec,
    Heal,
    Inject,
    Leave,
    Plan,
    Read,
    Rollback,
    Step,
    Stop,
    Write,
)
from lab.records.record import Record
from lab.records.verdict import Verdict
from unit.histories import KEEPS, RUN, verdict
from unit.honest import Honest

ACTOR = st.sampled_from(("t0", "t0", "t1", "t2"))
SELDOM = st.sampled_from((False, False, True))
STEP: st.SearchStrategy[Step] = st.one_of(
    st.builds(Begin, ACTOR),
    st.builds(Read, ACTOR, swallow=SELDOM),
    st.builds(Write, ACTOR, swallow=SELDOM),
    st.builds(Write, ACTOR, swallow=SELDOM),
    st.builds(Enter, ACTOR, savepoint=st.sampled_from((True, True, False))),
    st.builds(Leave, ACTOR, outcome=st.sampled_from(("commit", "commit", "rollback"))),
    st.builds(End, ACTOR),
    st.builds(Fail, ACTOR, swallow=SELDOM),
    st.builds(Autocommit, ACTOR, on=SELDOM),
    st.builds(Commit, ACTOR),
    st.builds(Rollback, ACTOR),
    st.builds(Close, ACTOR),
    st.builds(
        lambda kind: Inject(FaultSpec(kind)),
        st.sampled_from(("sever-fin", "sever-rst", "terminate", "crash", "limit-data", "refuse")),
    ),
    st.just(Heal()),
)


def plans(*first: Step) -> st.SearchStrategy[Plan]:
    """Plans that begin with these steps: of steps drawn alone, few make two requests or a block with two writes."""
    return st.builds(lambda steps: Plan(variant=KEEPS, steps=(*first, *steps)), st.lists(STEP, min_size=4, max_size=30))


PLANS = plans()
TWO_WRITES = plans(Begin("t0"), Enter("t0"), Write("t0"), Write("t0"))
TWO_REQUESTS = plans(Begin("t0"), Begin("t1"), Read("t0"), Read("t1"))


def _told(record: Record) -> str:
    """The history, a line each, and what the server holds."""
    lines = [f"{op.time} {op.actor} r{op.request} s{op.step} {op.f} {op.type} {op.value}" for op in record.ops]
    landings = [f"{landing.kind} {landing.time} {landing.healed} {landing.struck}" for landing in record.landings]
    return "\n".join([*lines, *landings, *(row.token for row in record.rows)])


TEN = {
    "aborts-cleanly",
    "atomic",
    "bounded-wait",
    "commits-on-close",
    "durable",
    "idle-after-close",
    "isolated-threads",
    "recovers",
    "replaces-stale",
    "reuses",
}
MANY = settings(
    max_examples=int(os.environ.get("LAB_EXAMPLES", "25")), deadline=None, suppress_health_check=list(HealthCheck)
)


@MANY
@given(PLANS, st.integers(0, 9))
def test_an_honest_backend_breaks_no_promise(plan: Plan, seed: int) -> None:
    record = Honest(plan, seed).record()
    broken = [found for found in judge(record) if found.verdict is Verdict.BROKEN and found.promise in TEN]
    assert not broken, _told(record)


@MANY
@given(PLANS, st.data())
def test_any_history_is_judged(plan: Plan, data: st.DataObject) -> None:
    """Nonsense too: no judge raises, and each says the same of the same record."""
    record = Honest(plan, 0).record()
    ops = tuple(data.draw(st.lists(st.sampled_from(record.ops), max_size=40))) if record.ops else ()
    endings: Any = data.draw(
        st.lists(st.sampled_from(("ok", "fail", "info", "skip", "invoke")), min_size=40, max_size=40)
    )
    ops = tuple(msgspec.structs.replace(op, type=ending) for op, ending in zip(ops, endings, strict=False))
    mangled = msgspec.structs.replace(record, ops=ops)
    assert judge(mangled) == judge(mangled)
    assert len(judge(mangled)) == len(list(PROMISES.values()))


def _changed(record: Record, op: Op, **value: Any) -> Record:
    ops = [each if each is not op else msgspec.structs.replace(op, value={**op.value, **value}) for each in record.ops]
    return msgspec.structs.replace(record, ops=tuple(ops))


def _without(record: Record, token: str) -> Record:
    return msgspec.structs.replace(record, rows=tuple(row for row in record.rows if row.token != token))


def _with(record: Record, token: str) -> Record:
    return msgspec.structs.replace(record, rows=(*record.rows, Row(token, "1", "s")))


@MANY
@given(PLANS, st.data())
def test_an_acknowledged_row_that_is_dropped_is_called(plan: Plan, data: st.DataObject) -> None:
    record = Honest(plan, 0).record()
    told = [unit for unit in Trace(record).units if unit.outcome == "acked" and not all(t.undone for t in unit.written)]
    unit = data.draw(st.sampled_from(told)) if told else None
    assume(unit is not None)
    assert unit is not None
    tokens = [token for token in unit.written if not token.undone]
    broken = _without(record, data.draw(st.sampled_from(tokens)).name)
    assert verdict("durable", broken) is Verdict.BROKEN
    if unit.kind != "autocommit":
        assert verdict("atomic", broken) is Verdict.BROKEN


@MANY
@given(PLANS, st.data())
def test_a_row_that_was_rolled_back_and_is_there_is_called(plan: Plan, data: st.DataObject) -> None:
    record = Honest(plan, 0).record()
    gone = [token for unit in Trace(record).units if unit.outcome == "aborted" for token in unit.written]
    assume(gone)
    assert verdict("aborts-cleanly", _with(record, data.draw(st.sampled_from(gone)).name)) is Verdict.BROKEN


@MANY
@given(TWO_WRITES, st.data())
def test_a_statement_of_a_block_on_another_session_is_called(plan: Plan, data: st.DataObject) -> None:
    record = Honest(plan, 0).record()
    blocks = [
        unit
        for unit in Trace(record).units
        if unit.kind == "atomic" and len({c.step for c in unit.calls if c.session}) > 1
    ]
    assume(blocks)
    call = data.draw(st.sampled_from([call for call in data.draw(st.sampled_from(blocks)).calls if call.session]))
    op = next(op for op in record.ops if op.step == call.step and op.type == "ok")
    assert verdict("atomic", _changed(record, op, session="9@elsewhere")) is Verdict.BROKEN


@MANY
@given(TWO_REQUESTS, st.data())
def test_a_session_of_two_requests_in_flight_is_called(plan: Plan, data: st.DataObject) -> None:
    """Two actors that use a session at the same time: the second one's is replaced by the first one's."""
    record = Honest(plan, 0).record()
    held: dict[str, str] = {}
    pairs = []
    for op in record.ops:
        if op.type == "invoke" and op.f in ("begin", "end", "close"):
            held.pop(op.actor, None)
        elif op.type == "ok" and "session" in op.value and op.request >= 0:
            pairs += [(op, name) for actor, name in held.items() if actor != op.actor]
            held[op.actor] = op.value["session"]
    assume(pairs)
    op, theirs = data.draw(st.sampled_from(pairs))
    assert verdict("isolated-threads", _changed(record, op, session=theirs)) is Verdict.BROKEN


@MANY
@given(PLANS, st.data())
def test_pending_work_that_close_commits_twice_or_not_at_all_is_called(plan: Plan, data: st.DataObject) -> None:
    record = Honest(plan, 0).record()
    closed = [unit for unit in Trace(record).units if unit.outcome == "closed" and unit.written and not unit.swallowed]
    closed = [unit for unit in closed if any(not token.undone for token in unit.written)]
    assume(closed)
    token = next(token for token in data.draw(st.sampled_from(closed)).written if not token.undone)
    assert verdict("commits-on-close", _without(record, token.name)) is Verdict.BROKEN
    assert verdict("commits-on-close", _with(record, token.name)) is Verdict.BROKEN


@MANY
@given(PLANS)
def test_a_second_error_after_the_heal_is_called(plan: Plan) -> None:
    """The liveness phase's reads all fail: more than stale sessions explain."""
    record = Honest(plan, 0).record()
    assume(verdict("recovers", record) is Verdict.KEPT)
    first = len(plan.steps)
    ops = [
        msgspec.structs.replace(op, type="fail", value={})
        if op.step > first and op.f in ("read", "enter") and op.type == "ok"
        else op
        for op in record.ops
    ]
    assert verdict("recovers", msgspec.structs.replace(record, ops=tuple(ops))) is Verdict.BROKEN


@pytest.mark.parametrize("step", [Stop("t1")])
def test_the_honest_backend_ignores_a_stop(step: Stop) -> None:
    assert Honest(Plan(variant=KEEPS, steps=(Begin("t1"), step)), 0).record().run == RUN
