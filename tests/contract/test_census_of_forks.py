"""What a child has said in its parent's name is in the census, however long the server takes over it."""

from __future__ import annotations

import signal
import threading
from contextlib import closing

import msgspec
import pytest

from lab.check.variants import rows
from lab.judging.judge import judge
from lab.judging.plan_parts import query, request
from lab.promise import PROMISES
from lab.records.lifecycle import Lifecycle
from lab.records.plan import Exit, Fork, Plan, Read, Step, Use
from lab.records.verdict import Verdict
from lab.rig.base import BaseRig
from lab.run import run
from lab.run.run import Run
from lab.subject.handle import Zygote

CHILD = "c0.t0"
BUSY = 0.4
"""Seconds for which the parent's session does nothing: longer than any fixed pause."""


CASES: dict[str, tuple[str, Lifecycle, tuple[Step, ...]]] = {
    "only exits": ("django_persistent", "request", (Exit(CHILD, "close_all"),)),
    "in a stream": ("django_per_request", "stream", (*query(CHILD), *query("t0"))),
}
"""The variant, what its units of work are, and what follows the fork."""


@pytest.mark.parametrize("case", CASES)
def test_a_busy_server_hides_no_farewell(rig: BaseRig, case: str) -> None:
    """The process of the parent's session is stopped when the child comes to be: so busy may a machine be."""
    name, lifecycle, steps = CASES[case]
    variant = rows()[name]
    plan = Plan(variant=variant, steps=(*query("t0"), Fork("t0"), *steps), lifecycles={"t0": lifecycle})
    timers: list[threading.Timer] = []

    def watch(index: int, seen: Run) -> None:
        if isinstance(plan.steps[index], Fork):
            (session,) = [str(op.value["session"]) for op in seen.ops if op.f == "read" and op.type == "ok"]
            pid = int(session.partition("@")[0])
            rig.server.signal(pid, signal.SIGSTOP)
            timers.append(threading.Timer(BUSY, rig.server.signal, (pid, signal.SIGCONT)))
            timers[0].start()

    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        try:
            record = run(plan, rig, zygote, watch, liveness=False)
        finally:
            for timer in timers:
                timer.join()
    assert not record.void
    (finding,) = judge(record, [PROMISES.get("fork-safe")])
    assert finding.verdict is Verdict.BROKEN, finding.summary


def test_a_session_that_the_server_ends_is_not_laid_to_a_child(rig: BaseRig) -> None:
    """`idle_session_timeout` ends the parent's session while a child works that never touches it."""
    bundled = rows()["persistent_threadlocal"]
    options = {"options": "-c idle_session_timeout=300"}
    variant = msgspec.structs.replace(bundled, options=options)
    works = request(CHILD, Use(CHILD, "slow"), Read(CHILD))
    steps = (*query("t0"), Fork("t0"), *works, Exit(CHILD, "normal"), *query("t0"))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        record = run(Plan(variant=variant, steps=steps), rig, zygote, liveness=False)
    assert not record.void
    at_fork, *later = (census for census in record.census if census.at in ("fork", "exit"))
    assert at_fork.sessions
    assert {each.id for each in at_fork.sessions} - {each.id for census in later for each in census.sessions}
    (finding,) = judge(record, [PROMISES.get("fork-safe")])
    assert finding.verdict is Verdict.KEPT, finding.summary
