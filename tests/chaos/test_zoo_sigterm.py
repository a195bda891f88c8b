"""ENGINEs that have a handler of their own for the signal by which a process is told to stop.

One that goes on is accused of nothing, and the report says why; one that ends in its own way has not died.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.plan import Inject, Plan
from lab.records.record import Record
from lab.records.variant import Driver, Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
SIGTERM = "SIGTERM, which it catches or ignores, and goes on"
BOUNDED = "bounded-sessions"
RESTS = "a process killed, between requests"


def _told_to_stop(name: str, rig: Rig, driver: Driver = "psycopg2") -> Iterator[tuple[Plan, Record]]:
    """The runs of bounded-sessions in which a process gets SIGTERM."""
    variant = Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),), keeps=True)
    with ExitStack() as stack:
        zygotes: dict[bytes, Zygote] = {}
        traits = stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ()))).traits
        for plan in PROMISES.get(BOUNDED).plans(variant, traits):
            if not any(isinstance(step, Inject) and step.fault.params.get("signal") == "TERM" for step in plan.steps):
                continue
            key = msgspec.json.encode(plan.variant)
            if key not in zygotes:
                zygotes[key] = stack.enter_context(closing(Zygote(plan.variant, rig.folder, rig.environ())))
            yield plan, run(plan, rig, zygotes[key])


def test_one_that_goes_on_is_accused_of_nothing_and_the_report_says_why(rig: Rig) -> None:
    ways = list(_told_to_stop("swallows_sigterm", rig))
    assert len(ways) == 5
    for plan, record in ways:
        findings = judge(record)
        assert {each.verdict for each in findings} == {Verdict.NA}, plan.title
        assert SIGTERM in next(each.summary for each in findings if each.promise == BOUNDED)


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize("name", ["correct_shuts_down", "correct_closes_then_dies"])
def test_one_that_ends_in_its_own_way_has_not_died(name: str, driver: Driver, rig: Rig) -> None:
    """In mid-query libpq may keep its handler from running for longer than the lab looks."""
    known = PROMISES.get(BOUNDED).of_django  # a statement runs on in the server, whatever becomes of its client
    for plan, record in _told_to_stop(name, rig, driver):
        findings = judge(record)
        accused = {each.promise for each in findings if each.verdict is Verdict.BROKEN}
        assert accused <= ({BOUNDED} if plan.moment in known else set()), findings
        if plan.moment == RESTS:
            assert record.fate == "struck"
            assert next(each.verdict for each in findings if each.promise == BOUNDED) is Verdict.KEPT
