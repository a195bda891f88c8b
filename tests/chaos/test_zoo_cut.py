"""whole-answers and hooks-once, on backends that are broken on purpose and on correct ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from lab.check.variants import rows
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.variant import Driver, Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]

TESTS = Path(__file__).resolve().parents[1]
STOCK = "django.db.backends.postgresql"
WHOLE, HOOKS = "whole-answers", "hooks-once"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _shows(rig: Rig, variant: Variant, stack: ExitStack, promise: str, moment: str = "") -> list[tuple[str, Verdict]]:
    """Moment and verdict of the promise's plans; a void run is run again."""
    zygote = stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
    asked = PROMISES.get(promise)
    shown = []
    for plan in asked.plans(variant, zygote.traits):
        if moment in ("", plan.moment):
            records = (run(plan, rig, zygote) for _ in range(3))
            record = next((record for record in records if not record.void), None)
            assert record is not None, f"{plan.moment}: void three times"
            shown.append((plan.moment, judge(record, [asked])[0].verdict))
    return shown


@pytest.mark.parametrize("driver", ["psycopg2", pytest.param("psycopg", marks=[pytest.mark.slow, pytest.mark.nightly])])
@pytest.mark.parametrize(
    ("name", "promise", "moment"),
    [
        ("cuts_off_rows", WHOLE, "iterator()"),
        ("cuts_off_rows", WHOLE, "a generated response"),
        ("replaces_in_silence", WHOLE, "a consumer in a request"),
        ("loses_hooks", HOOKS, "committed"),
        ("hooks_before_commit", HOOKS, "COMMIT fails"),
        ("hooks_before_commit", HOOKS, "COMMIT, never sent"),
    ],
)
def test_a_broken_backend_is_caught(
    name: str, promise: str, moment: str, driver: Driver, rig: Rig, stack: ExitStack
) -> None:
    variant = Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),))
    shown = _shows(rig, variant, stack, promise, moment)
    assert Verdict.BROKEN in [verdict for _, verdict in shown], shown


CORRECT = (
    Variant(name="careful", engine="zoo.correct_careful", path=(str(TESTS),)),
    Variant(name="kept", engine=STOCK, driver="psycopg", settings={"CONN_MAX_AGE": None}),
    Variant(name="keeper", engine="zoo.correct_keeper", path=(str(TESTS),)),
    msgspec.structs.replace(rows()["persistent_threadlocal"], driver="psycopg"),
)


@pytest.mark.slow
@pytest.mark.parametrize("promise", [WHOLE, HOOKS])
@pytest.mark.parametrize("variant", CORRECT, ids=lambda variant: f"{variant.name}, {variant.driver}")
def test_a_correct_backend_is_not_accused(variant: Variant, promise: str, rig: Rig, stack: ExitStack) -> None:
    shown = _shows(rig, variant, stack, promise)
    known = PROMISES.get(promise).of_django
    assert [each for each in shown if each[1] is not Verdict.KEPT and each[0] not in known] == []
    assert len(shown) > 8
