"""works-unfaulted, on backends that are broken on purpose and on correct ones; and a check goes on where it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from lab.check.check import Options, check
from lab.check.variants import rows
from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.variant import Driver, Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]

TESTS = Path(__file__).resolve().parents[1]
WORKS = "works-unfaulted"
STOCK = "django.db.backends.postgresql"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _shows(rig: Rig, variant: Variant, stack: ExitStack, moment: str = "") -> list[tuple[str, str, Finding]]:
    """Moment, title and finding of the promise's plans."""
    zygotes: dict[bytes, Zygote] = {}

    def zygote(of: Variant) -> Zygote:
        key = msgspec.json.encode(of)
        if key not in zygotes:
            zygotes[key] = stack.enter_context(closing(Zygote(of, rig.folder, rig.environ())))
        return zygotes[key]

    asked = PROMISES.get(WORKS)
    return [
        (plan.moment, plan.title, judge(run(plan, rig, zygote(plan.variant)), [asked])[0])
        for plan in asked.plans(variant, zygote(variant).traits)
        if moment in ("", plan.moment)
    ]


@pytest.mark.parametrize(
    ("engine", "driver", "moment"),
    [
        ("zoo.cuts_iterators", "psycopg2", "iterator()"),
        ("zoo.cuts_iterators", "psycopg", "iterator() across a commit"),
        ("zoo.echoes_errors", "psycopg2", "COPY by execute()"),
        ("zoo.echoes_errors", "psycopg2", "a statement refused"),
        ("zoo.cancels_after_errors", "psycopg2", "a statement refused"),
        ("zoo.tires_of_repeats", "psycopg2", "a statement often repeated"),
        ("zoo.tires_of_repeats", "psycopg", "a statement often repeated"),
        ("zoo.discards_past_the_driver", "psycopg", "a statement often repeated"),
        ("zoo.asks_after_refusals", "psycopg2", "a statement refused"),
        ("zoo.asks_after_refusals", "psycopg", "a statement refused"),
        ("zoo.closes_childs_descriptors", "psycopg2", "in a forked process"),
        ("zoo.closes_childs_descriptors", "psycopg", "in a forked process"),
        ("zoo.blocks_drop", "psycopg2", "a test database"),
        (STOCK, "psycopg", "COPY by execute()"),
    ],
)
def test_a_broken_backend_is_caught(engine: str, driver: Driver, moment: str, rig: Rig, stack: ExitStack) -> None:
    variant = Variant(name=engine, engine=engine, driver=driver, path=(str(TESTS),))
    shown = _shows(rig, variant, stack, moment)
    assert Verdict.BROKEN in [finding.verdict for *_, finding in shown], shown


CORRECT = (
    Variant(name="stock", engine=STOCK),
    Variant(name="kept", engine=STOCK, driver="psycopg", settings={"CONN_MAX_AGE": None}),
    Variant(name="careful", engine="zoo.correct_careful", path=(str(TESTS),)),
    Variant(name="closes outside", engine="zoo.correct_closes_outside", path=(str(TESTS),)),
    rows()["persistent_threadlocal"],
    msgspec.structs.replace(rows()["persistent_global"], driver="psycopg"),
)
PSYCOPG = ("COPY by execute()",)
"""What psycopg 3 leaves in the middle of a COPY Django leaves so too (psycopg #1008)."""


@pytest.mark.parametrize("variant", CORRECT, ids=lambda variant: f"{variant.name}, {variant.driver}")
def test_a_correct_backend_is_not_accused(variant: Variant, rig: Rig, stack: ExitStack) -> None:
    shown = _shows(rig, variant, stack)
    known = PSYCOPG if (variant.engine, variant.driver) == (STOCK, "psycopg") else ()
    assert [each for each in shown if each[2].verdict is not Verdict.KEPT and each[0] not in known] == []
    assert len(shown) > 20


def test_what_psycopg_leaves_of_a_copy_accuses_no_engine(rig: Rig, stack: ExitStack) -> None:
    """psycopg #1008: within the request, whatever the ENGINE does at its end."""
    variant = Variant(name="careful", engine="zoo.correct_careful", driver="psycopg", path=(str(TESTS),))
    found = [finding for *_, finding in _shows(rig, variant, stack, *PSYCOPG)]
    assert [(each.verdict, each.djangos) for each in found] == [(Verdict.BROKEN, True), (Verdict.KEPT, False)]


def test_a_check_goes_on_where_it_breaks(rig: Rig, tmp_path: Path) -> None:
    """Cuts need three requests that work: without them all else is judged, and the result says what was not run."""
    variant = Variant(name="now and then", engine="zoo.fails_now_and_then", path=(str(TESTS),))
    (result,) = check(
        [variant], rig, Options(promises=(WORKS, "idle-after-close"), search=0.0, brief=True), Store(tmp_path)
    )
    assert result.promises[WORKS].verdict is Verdict.BROKEN
    assert result.promises["idle-after-close"].verdict is Verdict.KEPT
    assert [part.partition(":")[0] for part in result.skipped] == ["cuts"]
